"""What changed between two revisions, line by line, and word by word within a line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from inbox.revealing import reveal

AROUND = 2  # lines shown beside a change
MOST_LINES = 2000
ALIKE = 0.5  # of their words, from which on two lines are one that was changed
MOST_PAIRS = 400  # of lines in one place that are compared with each other
MOST_COMPARED = 60_000  # characters of lines in all: about a second
LONGEST_PAIR = 6000  # characters; longer lines are not compared word by word
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A part of a line; `changed` where it is not in the other line."""

    text: str
    changed: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the comparison; a `gap` stands for `skipped` lines that are the same."""

    kind: Literal["same", "added", "removed", "gap"]
    pieces: tuple[Piece, ...] = ()
    skipped: int = 0


def differences(before: str, after: str) -> list[Line] | None:
    """What changed; None when the texts are too long to be compared.

    Args:
        before: The earlier text.
        after: The later text.
    """
    old, new = reveal(before).splitlines(), reveal(after).splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return None
    lines: list[Line] = []
    alike = _Alike()
    for tag, i, j, k, m in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            lines += _context(old[i:j], is_first=i == 0, is_last=j == len(old))
        else:
            lines += _change(old[i:j], new[k:m], alike)
    return lines


def _context(lines: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[Line]:
    """The lines beside a change; those farther away are a gap."""
    head, tail = (0 if is_first else AROUND), (0 if is_last else AROUND)
    skipped = len(lines) - head - tail
    if skipped < 2:  # a gap takes as much room
        yield from (Line("same", (Piece(line),)) for line in lines)
        return
    yield from (Line("same", (Piece(line),)) for line in lines[:head])
    yield Line("gap", skipped=skipped)
    yield from (Line("same", (Piece(line),)) for line in lines[len(lines) - tail :])


class _Alike:
    """Tells whether a line is another one that was changed, as long as that is not too much work.

    What is beyond is shown as a line that went and one that came.
    """

    def __init__(self) -> None:
        self._left = MOST_COMPARED

    def __call__(self, was: str, now: str) -> bool:
        """Whether half of their words are the same."""
        length = len(was) + len(now)
        if length > min(LONGEST_PAIR, self._left):
            return False
        self._left -= length
        matcher = SequenceMatcher(None, _WORDS.findall(was), _WORDS.findall(now))
        return matcher.quick_ratio() > ALIKE and matcher.ratio() > ALIKE


def _change(old: Sequence[str], new: Sequence[str], alike: _Alike) -> Iterator[Line]:
    """Lines that were replaced: those alike are compared with each other, in their order."""
    if len(old) * len(new) > MOST_PAIRS:
        yield from (Line("removed", (Piece(line),)) for line in old)
        yield from (Line("added", (Piece(line),)) for line in new)
        return
    rest = list(new)
    for was in old:
        at = next((n for n, now in enumerate(rest) if alike(was, now)), None)
        if at is None:
            yield Line("removed", (Piece(was),))
            continue
        yield from (Line("added", (Piece(now),)) for now in rest[:at])
        removed, added = _words(was, rest[at])
        yield Line("removed", removed)
        yield Line("added", added)
        rest = rest[at + 1 :]
    yield from (Line("added", (Piece(now),)) for now in rest)


def _words(was: str, now: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    old, new = _WORDS.findall(was), _WORDS.findall(now)
    removed: list[Piece] = []
    added: list[Piece] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new).get_opcodes():
        if i < j:
            removed.append(Piece("".join(old[i:j]), tag != "equal"))
        if k < m:
            added.append(Piece("".join(new[k:m]), tag != "equal"))
    return tuple(removed), tuple(added)
