"""Finds or makes text of a demanded form: a JSON schema's `format` or `pattern`."""

import re
from collections.abc import Iterator

_FORMATS = {
    "date": (r"\d{4}-\d{2}-\d{2}", "2026-04-01"),
    "date-time": (
        r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})",
        "2026-04-01T12:00:00Z",
    ),
    "time": (r"\b\d{2}:\d{2}:\d{2}\b", "12:00:00"),
    "duration": (r"\bP(?:\d+[DWMY])*T?(?:\d+[HMS])+\b", "PT1H"),
    "email": (r"[\w.+-]+@[\w-]+\.[\w.]*\w", "someone@example.com"),
    "uri": (r"https?://[^\s<>\"'\])}]*[\w/]", "https://example.com/"),
    "url": (r"https?://[^\s<>\"'\])}]*[\w/]", "https://example.com/"),
    "uuid": (
        r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
        "00000000-0000-4000-8000-000000000000",
    ),
    "hostname": (r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)+\b", "example.com"),
    "ipv4": (r"\b(?:\d{1,3}\.){3}\d{1,3}\b", "192.0.2.1"),
    "ipv6": (r"\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b", "2001:db8::1"),
}
_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "x", "W": "-", "S": "x"}


def text_of_format(name: str, text: str) -> str:
    """Take a text of this format from `text`, else give one that stands for none; "" if unknown."""
    if name not in _FORMATS:
        return ""
    pattern, stand_in = _FORMATS[name]
    found = re.search(pattern, text)
    return found.group(0) if found else stand_in


def text_of_pattern(pattern: str, text: str) -> str:
    """Take what fits `pattern` from `text`, else make the shortest plain text that fits."""
    try:
        anywhere = re.search(pattern.removeprefix("^").removesuffix("$"), text)
        if anywhere and anywhere.group(0) and re.search(pattern, anywhere.group(0)):
            return anywhere.group(0)
    except re.error:
        return text.split("\n", 1)[0]
    return _Generator(pattern).alternatives()


class _Generator:
    """Walks a regular expression and takes the first way through it.

    Knows literals, classes, groups, alternatives and counts, which is what patterns of ids and
    codes are made of; looking around and back is beyond it.
    """

    def __init__(self, pattern: str) -> None:
        self._rest = pattern
        self._at = 0

    def alternatives(self) -> str:
        """Give the text of the first alternative, and pass over the others."""
        first = "".join(self._pieces())
        while self._peek() == "|":
            self._at += 1
            "".join(self._pieces())
        return first

    def _pieces(self) -> Iterator[str]:
        while self._peek() not in {"", "|", ")"}:
            piece = self._atom()
            yield piece * self._count()

    def _atom(self) -> str:
        character = self._take()
        if character in {"^", "$"}:
            return ""
        if character == ".":
            return "a"
        if character == "[":
            return self._class()
        if character == "(":
            if self._rest.startswith("?:", self._at):
                self._at += 2
            inside = self.alternatives()
            self._take()
            return inside
        return self._escaped() if character == "\\" else character

    def _escaped(self) -> str:
        character = self._take()
        return "" if character in {"b", "A", "Z", "z"} else _CLASSES.get(character, character)

    def _class(self) -> str:
        negated = self._peek() == "^"
        members = ""
        while self._peek() not in {"", "]"} or not members:
            character = self._take()
            members += self._escaped() if character == "\\" else character
        self._take()
        if not negated:
            return members[0]
        return next(c for c in "aA0-_ x" if c not in members)

    def _count(self) -> int:
        character = self._peek()
        if character in {"?", "*"}:
            self._take()
            return 0
        if character == "+":
            self._take()
            return 1
        counted = re.compile(r"\{(\d+)(?:,\d*)?\}").match(self._rest, self._at)
        if counted:
            self._at = counted.end()
            return int(counted.group(1))
        return 1

    def _peek(self) -> str:
        return self._rest[self._at] if self._at < len(self._rest) else ""

    def _take(self) -> str:
        character = self._peek()
        self._at += 1
        return character
