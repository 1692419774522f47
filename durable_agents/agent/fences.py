"""Makes sure that nothing inside a fence reads as the end of it, or as another fence.

The tag can be written in many ways that a model may read as it: with spaces and invisible
characters inside, in full width, in letters of other alphabets that look the same. Each is undone
at its bracket. So are the marks by which servers tell who speaks: those that run models of their
own (vLLM, llama.cpp, Ollama) read them in any text. What people do not see and models read is taken
out beforehand.
"""

import re
import unicodedata
from functools import lru_cache

TAG = "untrusted"
UNSEEN = "\ufffd"

# "Tag" characters and variation selectors, which carry hidden text; what databases cannot hold.
# Joiners and selectors belong to some scripts and to emoji: there they stand alone or in pairs.
_UNPRINTABLE = re.compile(
    "[\x00\ud800-\udfff\U000e0000-\U000e01ef]"
    "|[\u200b-\u200f\u2060-\u2064\u206a-\u206f\ufe00-\ufe0f\ufeff\u00ad\u180e\u034f]{3,}"
)
_BRACKETS = "<\u02c2\u1438\u16b2\u2039\u226a\u2329\u276c\u276e\u2770\u27e8\u29fc\u3008\ufe64\uff1c"
_BRACKET = re.compile(rf"[{_BRACKETS}](?=[^A-Za-z0-9{_BRACKETS}]*(?:[uU]|[^\x00-\x7f]))")
# <|im_start|>, <\uff5cUser\uff5c>, <start_of_turn>, </s>, [INST], <<SYS>> and their like.
_SPEAKER = re.compile(
    r"<(?=[|\uff5c]|/?(?:s|bos|eos|start_of_turn|end_of_turn)>|</?SYS>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])"
)
_UNDONE = {"<": "&lt;", "[": "&#91;"}
_IGNORED = frozenset({"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp"})
_SLASHES = "/\\\u2044\u2215\u29f8\u2571" + UNSEEN
# Letters of other alphabets that look like those of the tag (Unicode's confusables, UTS 39).
_LOOKALIKES = {
    "u": "\u03bc\u03c5\u0446\u057d\u1d1c\u028b\ua79f\u1959",
    "n": "\u043f\u03b7\u0578\u057c\u0274",
    "t": "\u0442\u03c4\u1d1b\u0167",
    "r": "\u0433\u1d26\u0280\ua9cd\uab47\uab48\u0491",
    "s": "\u0455\ua731\u01bd\ua9a8",
    "e": "\u0435\u0454\u04bd\u025b\u1d07\u212e\u03b5",
    "d": "\u0501\u0257\u056a\u0111\u1d05\u13e7",
}
# White letters in black circles and squares, which have no plain form in Unicode.
_IN_BLACK = {
    start + place: letter
    for start in (0x1F150, 0x1F170)
    for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")
}
_PLAIN = _IN_BLACK | {ord(like): letter for letter, likes in _LOOKALIKES.items() for like in likes}


def neutral(text: str) -> str:
    """Text in which no fence begins or ends, however it is spelled, and nobody else's turn."""
    text = _UNPRINTABLE.sub(UNSEEN, text)
    text = _SPEAKER.sub(lambda mark: _UNDONE[mark[0]], text)
    return _BRACKET.sub(lambda bracket: _undone(text, bracket), text)


def printable(text: str) -> str:
    """Text without what people do not see and models read."""
    return _UNPRINTABLE.sub(UNSEEN, text)


def _undone(text: str, bracket: re.Match[str]) -> str:
    """The bracket, or what stands for it where the tag follows."""
    seen = ""
    for place in range(bracket.end(), len(text)):
        seen += _looks_like(text[place])
        if not TAG.startswith(seen[: len(TAG)]):
            return bracket[0]
        if len(seen) >= len(TAG):
            return "&lt;"
    return bracket[0]


@lru_cache(maxsize=4096)
def _looks_like(char: str) -> str:
    """A character in plain small letters; nothing where it is not seen, or a slash."""
    plain = unicodedata.normalize("NFKD", char).casefold().translate(_PLAIN)
    return "".join(
        part
        for part in plain
        if part not in _SLASHES and unicodedata.category(part) not in _IGNORED
    )
