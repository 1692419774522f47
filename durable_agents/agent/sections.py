"""Cut a long text into sections, from windows on it, so that nobody needs the whole."""

import re
from itertools import pairwise

SECTION_CHARS = 8000
SLACK_CHARS = 800
"""How far behind its place a cut may move to find the end of a paragraph or a sentence."""

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"[.!?…][\"”')\]]*\s")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
MOST_CONTROLS = 0.02  # of a text; what is decoded from a picture or an archive has far more


def count_sections(chars: int) -> int:
    """How many sections a text of this length has; the last one may be longer than the others."""
    return max(1, chars // SECTION_CHARS)


def window_of(first: int, count: int, of: int) -> tuple[int, int]:
    """The offset and the length of the window that holds some sections of `of`.

    The last window has no end: the section after the last place belongs to it.
    """
    last = first + count >= of
    length = count * SECTION_CHARS + (SECTION_CHARS if last else SLACK_CHARS)
    return first * SECTION_CHARS, length


def cut(window: str, first: int, count: int, of: int) -> list[str]:
    """Cut a window into its sections.

    Each cut falls behind the first paragraph, sentence or word that ends after its place. It
    depends on the text there alone, so that neighbours agree on it: together the sections are
    the text, without a gap or an overlap.
    """
    places = [
        0 if first + i == 0 else len(window) if first + i == of else _end_after(window, i)
        for i in range(count + 1)
    ]
    return [window[start:end] for start, end in pairwise(places)]


def _end_after(window: str, section: int) -> int:
    place = section * SECTION_CHARS
    ahead = window[place : place + SLACK_CHARS]
    found = _PARAGRAPH.search(ahead) or _SENTENCE.search(ahead) or re.search(r"\s", ahead)
    return place + (found.end() if found else 0)


def is_text(sample: str) -> bool:
    """Whether the beginning of a document is something to read."""
    unreadable = len(_CONTROL.findall(sample))
    return any(c.isalnum() for c in sample) and unreadable <= MOST_CONTROLS * len(sample)
