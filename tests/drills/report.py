"""What the drills have shown: kept in a file between runs, and a table of the guide."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path

from tests.drills.episodes import Fault, Outcome, failures

PROJECT = Path(__file__).parent.parent.parent
PROGRESS = PROJECT / "var" / "drills.json"
GUIDE = PROJECT / "docs" / "guarantees.md"
BEGIN, END = "<!-- drills: begin -->", "<!-- drills: end -->"


@dataclass
class Cell:
    """What one fault did to the runs of one flow."""

    scenarios: int = 0
    lost: int = 0
    doubled: int = 0
    uncertain: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count a run. What is wrong counts also where a run met no fault."""
        assert outcome.difference is not None
        self.scenarios += outcome.scenario.met
        self.lost += outcome.difference.lost.total()
        self.doubled += outcome.difference.doubled.total()
        self.uncertain += outcome.difference.uncertain

    def __add__(self, other: "Cell") -> "Cell":
        mine, its = asdict(self), asdict(other)
        return Cell(**{name: mine[name] + its[name] for name in mine})


@dataclass
class Progress:
    """All that was seen: a cell for each flow and fault, what went wrong, how often a run went on.

    `episodes` counts those that are done of the round that was begun; `recovered_s` are seconds
    from the death of the only worker to the next thing that a run did.
    """

    rounds: int = 0
    episodes: int = 0
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict[str, dict[str, Cell]])
    wrong: list[str] = field(default_factory=list[str])
    recovered_s: list[float] = field(default_factory=list[float])
    seconds: float = 0
    manners: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def load(cls, file: Path) -> "Progress":
        """What was kept; nothing where there is no file."""
        if not file.exists():
            return cls()
        kept = json.loads(file.read_text(encoding="utf-8"))
        cells = {
            flow: {fault: Cell(**cell) for fault, cell in row.items()}
            for flow, row in kept.pop("cells").items()
        }
        return cls(cells=cells, **kept)

    def save(self, file: Path) -> None:
        """Keep it, whole or not at all."""
        file.parent.mkdir(exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        fresh.replace(file)

    def add(self, fault: Fault, outcomes: Sequence[Outcome]) -> None:
        """Count an episode."""
        for one in outcomes:
            met = fault.of(one.scenario)
            row = self.cells.setdefault(one.scenario.flow.name, {})
            row.setdefault(met.group, Cell()).add(one)
            self.manners[met.name] = self.manners.get(met.name, 0) + one.scenario.met
        self.wrong += [f"{fault.name}: {line}" for line in failures(outcomes)]

    @property
    def total(self) -> Cell:
        """All of it."""
        return sum((cell for row in self.cells.values() for cell in row.values()), Cell())

    @property
    def p95_s(self) -> float:
        """Within how long 95 of 100 runs went on; 0 as long as none was measured."""
        ordered = sorted(self.recovered_s)
        return ordered[ceil(0.95 * len(ordered)) - 1] if ordered else 0

    def is_well(self, goes_on_s: float) -> bool:
        """Whether faults were met, nothing was lost or doubled, and runs went on in time."""
        return self.total.scenarios > 0 and not self.wrong and 0 < self.p95_s < goes_on_s


def table(progress: Progress) -> str:
    """What the guide shows: a table by fault, then one by flow and fault."""
    by_fault: dict[str, Cell] = {}
    for row in progress.cells.values():
        for fault, cell in row.items():
            by_fault[fault] = by_fault.get(fault, Cell()) + cell
    by_flow = [
        (f"{flow} | {fault}", row[fault])
        for flow, row in sorted(progress.cells.items())
        for fault in by_fault
        if fault in row and row[fault].scenarios
    ]
    head = ("scenarios", "lost", "doubled", "uncertain")
    lines = [
        _told(progress),
        "",
        *_rows(("fault", *head), [*by_fault.items(), ("**all**", progress.total)]),
        "",
        *_rows(("flow", "fault", *head), by_flow),
    ]
    return "\n".join(lines)


def _told(progress: Progress) -> str:
    total = progress.total
    told = (
        f"{total.scenarios:,} scenarios: lost {total.lost}, doubled {total.doubled}, "
        f"uncertain {total.uncertain}."
    )
    if progress.recovered_s:
        told += (
            f" After the death of the only worker, {len(progress.recovered_s)} runs went on "
            f"within {progress.p95_s:.1f} s at the 95th percentile, "
            f"{max(progress.recovered_s):.1f} s at most."
        )
    return told


def _rows(head: Sequence[str], rows: Iterable[tuple[str, Cell]]) -> list[str]:
    names = len(head) - len(asdict(Cell()))
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * names}{'---:|' * (len(head) - names)}"]
    for name, cell in rows:
        numbers = " | ".join(f"{number:,}" for number in asdict(cell).values())
        lines.append(f"| {name} | {numbers} |")
    return lines


def write(progress: Progress, guide: Path = GUIDE) -> None:
    """Put the table into the guide, between its marks."""
    before, _, rest = guide.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    guide.write_text(f"{before}{BEGIN}\n{table(progress)}\n{END}{after}", encoding="utf-8")
