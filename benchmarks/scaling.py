"""What a second worker process adds, with slots as the limit and with the processor as the limit.

    python -m benchmarks.scaling [--pairs 3] [--slots 8] [--rounds 4] [--crowd 40] [--short 100]

One process and two take turns (A B A B …) on the same servers. With slots as the limit the model
takes one second and each process has few slots, so that no process can do more rounds a second
than it has slots. With the processor as the limit the model answers at once. The third load is
short runs (a model call, a tool call, the answer) on one process. CPU seconds are taken from the
kernel and set against the wall time: 1.00 is one core; `others` is what else ran on the machine.
Memory is resident: idle once a process polls, and the highest under load. The table is what
docs/operations.md shows.
"""

import argparse
import asyncio
import os
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agents import slow_model
from benchmarks.bench import (
    TICKS,
    Bench,
    Clock,
    WorkerProcess,
    bench,
    cpu_of_tree,
    our_worker,
    pid_named,
    run_react,
)

PARTS = ("temporal", "postgres", "simulator")
COLUMNS = ("workers", "Temporal", "PostgreSQL", "simulator", "others")
USED_UP = 0.85  # of a core, or of all of them: scheduling takes the rest
WARM = 6  # runs of each process before it is measured
HEADER = (
    "| load | processes | rounds/s | runs/s | wall, s | cores: workers | Temporal | PostgreSQL "
    "| simulator | others | MiB idle | MiB at most | the limit |"
)


@dataclass(frozen=True)
class Load:
    """Runs at once of some rounds, each a model call and a tool call, before the answer."""

    name: str
    runs: int
    rounds: int
    slots: int = 0  # of each process, for activities; 0: as many as it has of itself

    @property
    def calls(self) -> int:
        """Rounds of all runs; the last one is the answer."""
        return self.runs * (self.rounds + 1)


@dataclass(frozen=True)
class Sample:
    """What one turn took: wall seconds, cores in use by each of `COLUMNS`, MiB of a process."""

    wall_s: float
    cores: tuple[float, ...]
    idle_mib: float
    most_mib: float


async def main(pairs: int, loads: Sequence[Load], short: Load) -> None:
    """Measure and print."""
    print(f"{os.cpu_count()} cores; medians of {pairs} turns")
    async with bench() as parts:
        rows: list[str] = []
        ratios: list[str] = []
        for load in loads:
            taken: dict[int, list[Sample]] = {1: [], 2: []}
            for _ in range(pairs):
                for processes, samples in taken.items():
                    samples.append(await _turn(parts, load, processes))
            rows += [_row(load, processes, samples) for processes, samples in taken.items()]
            ratios.append(_ratio(load, taken[1], taken[2]))
        alone = [await _turn(parts, short, 1) for _ in range(pairs)]
        rows.append(_row(short, 1, alone))
    print(HEADER)
    print("|---" * HEADER.count(" | ") + "|---|")
    print("\n".join(rows))
    print("\n".join(ratios))


async def _turn(parts: Bench, load: Load, processes: int) -> Sample:
    """Start fresh processes, warm them up, and put a load on them."""
    env = {"WORKER_ACTIVITY_SLOTS": str(load.slots)} if load.slots else {}
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(our_worker(parts, env)) for _ in range(processes)
        ]
        idle = statistics.mean(worker.resident_mib() for worker in workers)
        await asyncio.gather(*(run_react(parts.client, 1) for _ in range(WARM * processes)))
        if load.slots:
            await stack.enter_async_context(slow_model(parts.settings.simulator_url))
        before = _cpu(parts, workers)
        clock = Clock()
        await asyncio.gather(*(run_react(parts.client, load.rounds) for _ in range(load.runs)))
        wall = clock.seconds()
        after = _cpu(parts, workers)
        spent = [(b - a) / wall for a, b in zip(before, after, strict=True)]
        *ours, machine = spent
        cores = (*ours, max(machine - sum(ours), 0.0))
        return Sample(wall, cores, idle, max(map(_most_mib, workers)))


def _cpu(parts: Bench, workers: Sequence[WorkerProcess]) -> list[float]:
    """CPU seconds so far: of the workers, of the other parts, and of the whole machine."""
    others = [cpu_of_tree(pid_named(parts, name)) for name in PARTS]
    return [sum(worker.cpu() for worker in workers), *others, _cpu_of_machine()]


def _cpu_of_machine() -> float:
    """CPU seconds of all that ran since the start; neither idle nor waiting for disks."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, _idle, _wait, interrupts, soft = map(int, first.split()[1:8])
    return (user + nice + system + interrupts + soft) / TICKS


def _most_mib(worker: WorkerProcess) -> float:
    """The most memory that a process has held so far."""
    for line in Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError("the kernel does not tell the most memory of a process")


def _row(load: Load, processes: int, samples: Sequence[Sample]) -> str:
    wall = statistics.median(sample.wall_s for sample in samples)
    cores = [statistics.median(s.cores[place] for s in samples) for place in range(len(COLUMNS))]
    cells = [
        load.name,
        str(processes),
        f"{load.calls / wall:.1f}",
        f"{load.runs / wall:.1f}",
        f"{wall:.2f}",
        *(f"{part:.2f}" for part in cores),
        f"{statistics.median(sample.idle_mib for sample in samples):.0f}",
        f"{max(sample.most_mib for sample in samples):.0f}",
        _limit(load, processes, cores, load.calls / wall),
    ]
    return f"| {' | '.join(cells)} |"


def _limit(load: Load, processes: int, cores: Sequence[float], per_second: float) -> str:
    """What kept the load from going faster, as far as the numbers tell."""
    total = os.cpu_count() or 1
    slots = load.slots * processes
    if slots and per_second >= USED_UP * slots:
        return f"slots: {slots} rounds/s are possible"
    if sum(cores) >= USED_UP * total:
        name, _ = max(zip(COLUMNS, cores, strict=True), key=lambda one: one[1])
        return f"all {total} cores, most of them by {name}"
    if cores[0] >= USED_UP * processes:
        return "the processes: a core each"
    return "waits"


def _ratio(load: Load, one: Sequence[Sample], two: Sequence[Sample]) -> str:
    times = [a.wall_s / b.wall_s for a, b in zip(one, two, strict=True)]
    return (
        f"{load.name}: two processes do {statistics.median(times):.2f} times the rounds of one "
        f"({min(times):.2f} to {max(times):.2f}, n={len(times)})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--slots", type=int, default=8, help="of each process, in the first load")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--crowd", type=int, default=40, help="runs at once in the second load")
    parser.add_argument("--short", type=int, default=100, help="runs at once in the third load")
    given = parser.parse_args()
    both = (
        Load("model 1 s", 4 * given.slots, given.rounds, given.slots),
        Load("model at once", given.crowd, 2 * given.rounds),
    )
    asyncio.run(main(given.pairs, both, Load("short runs, at once", given.short, 1)))
