"""Reads what a guide tells to do, and does it in a copy of the checkout.

A guide speaks in three forms. A block of Python is a file; the line before it says
"In a new file `PATH`:". A block without a language is lines to add (ruff would format them as
if they stood alone); the line before it says "In `PATH`, after the line `LINE`:" (or `before`, or
`instead of`). A console block holds commands behind "$ ", each followed by lines that it prints,
where "…" stands for what differs. Any other block is a mistake.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "var", "__pycache__")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_PLACE = re.compile(
    r"In (?:a new file )?`([^`]+)`(?:, (after|before|instead of) the line `(.+)`)?:"
)


@dataclass(frozen=True)
class Change:
    """A block to paste: a new file, or lines beside the line `anchor`."""

    path: str
    code: str
    where: str = ""
    anchor: str = ""

    def apply(self, folder: Path) -> None:
        """Make the change in a checkout."""
        file = folder / self.path
        if not self.where:
            assert not file.exists(), f"{self.path} is not new"
            file.write_text(self.code, encoding="utf-8")
            return
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [place for place, line in enumerate(lines) if line.strip() == self.anchor]
        assert len(places) == 1, f"{self.path} has {len(places)} lines `{self.anchor}`"
        first = places[0] + (self.where == "after")
        last = places[0] + (self.where != "before")
        lines[first:last] = [self.code]
        file.write_text("".join(lines), encoding="utf-8")


@dataclass(frozen=True)
class Shown:
    """A command, and the lines that it is said to print."""

    command: str
    lines: tuple[str, ...]

    def missing_in(self, printed: str) -> list[str]:
        """The lines that are not printed, in this order."""
        rest = iter(printed.splitlines())
        return [line for line in self.lines if not any(_like(line, found) for found in rest)]


def _like(told: str, found: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in told.split("…"))
    return re.fullmatch(pattern, found.rstrip()) is not None


def steps_of(guide: str) -> list[Change | Shown]:
    """What a guide tells to do, in its order."""
    steps: list[Change | Shown] = []
    for block in _BLOCK.finditer(guide):
        language, content = block.groups()
        if language == "console":
            steps += _commands_in(content)
            continue
        place = _PLACE.fullmatch(guide[: block.start()].rstrip().splitlines()[-1])
        assert place is not None, f"no place for this block:\n{content}"
        assert language == ("" if place[2] else "python"), f"not what such a block is:\n{content}"
        steps.append(Change(place[1], content, place[2] or "", place[3] or ""))
    return steps


def _commands_in(content: str) -> list[Shown]:
    told = [part.splitlines() for part in re.split(r"^\$ ", content, flags=re.M)]
    assert not told[0], f"a command begins with $:\n{content}"
    return [Shown(lines[0], tuple(lines[1:])) for lines in told[1:]]


def copy_checkout(folder: Path) -> Path:
    """A copy of what is checked out, with changes that are not committed yet."""
    return Path(shutil.copytree(ROOT, folder / "checkout", ignore=LEFT_OUT))
