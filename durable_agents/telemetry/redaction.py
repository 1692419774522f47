"""Takes secrets out of text: the one filter for logs, errors, histories and the database.

Two kinds are found: the secrets of this process, which its settings name, wherever they stand;
and what is plainly a key of somebody by its form (API keys of well-known services, private keys,
tokens). In logs and errors also passwords in addresses and values that are named as secrets; these
stay in what is stored, because an address that is to be fetched may need them.

What stands in the place of a stored secret is as long as it was, so that offsets and lengths that
were counted before still fit.
"""

import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

REDACTED = "[redacted]"
SHORTEST = 8  # characters; what is shorter stands in too many words
LONG_WORDS = 20  # letters: without a digit only such a secret can be told from words

# Each pattern begins with plain characters, which `re` looks for fast; what has to stand before
# them is looked at afterwards. Where there is a group, the group is the secret; but one named
# `harmless` takes up the rest of a word that is none, so that no word is looked at twice.
_KEYS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (
        ("sk-",),
        re.compile(
            r"sk-(?<![A-Za-z0-9]sk-)(?:(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20,}"
            r"|[a-z0-9]{24,}[\w-]*|(?P<harmless>[\w-]+))",
            re.ASCII,
        ),
    ),
    (("k_live_", "k_test_"), re.compile(r"[prs]k_(?:live|test)_[A-Za-z0-9]{10,}")),
    (("whsec_",), re.compile(r"whsec_[A-Za-z0-9+/=]{16,}")),
    (("da_",), re.compile(r"da_(?<!\wda_)[\w-]{40,}", re.ASCII)),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"gh(?:[oprsu]|ithub_pat)_[A-Za-z0-9_]{20,}"),
    ),
    (("hf_",), re.compile(r"hf_(?<!\whf_)[A-Za-z0-9]{34}\b", re.ASCII)),
    (("glpat-",), re.compile(r"glpat-[\w-]{20,}", re.ASCII)),
    (("xox",), re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,}")),
    (("AIza",), re.compile(r"AIza[\w-]{35}", re.ASCII)),
    (
        ("eyJ",),
        re.compile(r"eyJ(?:[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|(?P<harmless>[\w-]+))", re.ASCII),
    ),
    # Not in a signed address, which names the key and does not hold it.
    (("AKIA", "ASIA"), re.compile(r"A(?:KI|SI)A(?<!Credential=A...)(?<!\wA...)[A-Z0-9]{16}\b")),
    (
        ("secret_access_key", "SECRET_ACCESS_KEY"),
        re.compile(r"""_access_key["']?\s*[=:]\s*["']?([A-Za-z0-9/+]{40})""", re.I),
    ),
    (("earer ",), re.compile(r"earer (?=\S*\d)([\w.~+/=-]{16,})", re.ASCII)),
    (
        ("PRIVATE KEY-----",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"
            r"(?:(?:\s|\\[nr])*(?:(?:Proc-Type|DEK-Info): ?[\w,-]+|[A-Za-z0-9+/=]{16,}))+"
            r"(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]+)?"
            r"(?:(?:\s|\\[nr])*-----END [A-Z0-9 ]*PRIVATE KEY-----)?"
        ),
    ),
)
_HINTS = tuple((hint, pattern) for hints, pattern in _KEYS for hint in hints)
_IN_ADDRESS = re.compile(r"""://[^\s/?#@:"']*:([^\s/?#"']+)@""")
_NAMES = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api",
    "sig",
    "private",
    "authori",
    "cookie",
)
# A value in quotes ends with them, and one that is JSON inside of JSON with `\\"`.
_QUOTED = r"""b?(?:\\+["']([^"'\\]{4,})|"((?:[^"\\]|\\.){4,})|'((?:[^'\\]|\\.){4,}))"""
_NAMED = re.compile(
    rf"""
    (?:password|passwd|passphrase|secret
       |(?<![a-z])(?:pwd|token|sig|api[_-]?key|authorization|cookie
                     |(?:access|auth|refresh|session)[_-]?token|x-amz-signature
                     |(?:secret|signing|private)[_-]?key))
    \\*["']?\s*
    (?:=\s*{_QUOTED}|=([^\s&;,"'<>]{{4,}})|:\s*{_QUOTED}
       |(?<=uthorization['"]),\s*{_QUOTED})
    """,
    re.I | re.X | re.S,
)
_IN_HEADER = re.compile(
    r"uthorization:\s*(?:(?:basic|bearer|digest|token)\s+)?(\S{4,})"
    r"|pi-key:\s*(\S{4,})|ookie:\s*([^\r\n\"']{4,})",
    re.I,
)


class SecretFilter:
    """Knows secrets, and takes them out of text."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()
        self._known: re.Pattern[str] | None = None

    def keep(self, values: Iterable[str]) -> None:
        """Have these values taken out from now on, also as JSON and addresses write them.

        A value that is short or a plain word is left out: it would be found where it is none.
        """
        found = {form for value in values if _is_telling(value) for form in _forms(value)}
        self._values = tuple(sorted({*self._values, *found}, key=len, reverse=True))
        self._known = re.compile("|".join(map(re.escape, self._values))) if self._values else None

    def forget(self) -> None:
        """Know no values any more."""
        self._values, self._known = (), None

    def redact(self, text: str) -> str:
        """A text for a log or an error: without any secret that can be told."""
        text = self._without_keys(text, _blacked)
        text = _IN_ADDRESS.sub(_blacked, text)
        small = text.lower()
        if not any(name in small for name in _NAMES):
            return text
        return _IN_HEADER.sub(_blacked, _NAMED.sub(_blacked, text))

    def redact_stored(self, text: str) -> str:
        """A text that is kept: without our secrets and plain keys, and as long as it was.

        JSON stays JSON.
        """
        return self._without_keys(text, _masked)

    def _without_keys(self, text: str, hide: Callable[[re.Match[str]], str]) -> str:
        for value in self._values:
            if value in text and self._known is not None:
                text = self._known.sub(hide, text)
        for hint, pattern in _HINTS:
            if hint in text:
                text = pattern.sub(hide, text)
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """The same for text in UTF-8; bytes that are no text stay as they are."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return data
        redacted = self.redact_stored(text)
        return data if redacted is text else redacted.encode()


SECRETS = SecretFilter()
"""The filter of this process; reading the settings tells it what it has to know."""


def _is_telling(value: str) -> bool:
    """Whether a value can be told from words: "durable-agents" is a password, too."""
    letters = re.sub(r"[\W_]", "", value)
    return len(value) >= SHORTEST and (not letters.isalpha() or len(letters) >= LONG_WORDS)


def _forms(value: str) -> set[str]:
    return {value, json.dumps(value)[1:-1], quote(value, safe="")}


def _blacked(match: re.Match[str]) -> str:
    """What is found, with a note in the place of the secret."""
    return _with(match, REDACTED)


def _masked(match: re.Match[str]) -> str:
    """The same, as long as it was."""
    length = len(match[match.lastindex or 0])
    return _with(match, (REDACTED if length >= len(REDACTED) else "").ljust(length, "*"))


def _with(match: re.Match[str], note: str) -> str:
    if match.lastgroup == "harmless":
        return match[0]
    start, end = match.span(match.lastindex or 0)
    whole = match[0]
    return whole[: start - match.start()] + note + whole[end - match.start() :]
