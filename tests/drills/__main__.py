"""`make drills`: every flow, every fault, every step; the table goes into docs/guarantees.md.

With `--long` rounds are played until so many scenarios were seen. What was seen is kept in
var/drills.json after each episode, so that an interrupted run goes on; `--anew` forgets it.
SIGINT and SIGTERM end it in good order.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.drills import recovery, report, rounds
from tests.drills.branches import branches
from tests.drills.episodes import undisturbed
from tests.drills.flows import flows
from tests.drills.report import Progress
from tests.drills.stage import set_up
from tests.drills.stopping import until_stopped

ENOUGH = 11_000  # scenarios of a long run
GOES_ON_S = 10.0


async def drill(progress: Progress, file: Path, enough: int, only: Sequence[str]) -> None:
    """Play rounds, each on servers of its own, until there are enough scenarios."""
    if not progress.recovered_s:
        progress.recovered_s = await recovery.measure()
        _say(f"After a kill runs go on within {progress.p95_s:.1f} s (p95).")
        progress.save(file)
    while not progress.rounds or progress.total.scenarios < enough:
        await _round(progress, file, only)
        progress.rounds, progress.episodes = progress.rounds + 1, 0
        progress.save(file)


async def _round(progress: Progress, file: Path, only: Sequence[str]) -> None:
    async with set_up() as stage:
        chosen = [
            flow
            for flow in (*flows(stage.servers.settings.simulator_url), *branches())
            if not only or flow.name in only
        ]
        known = await undisturbed(stage, chosen)
        episodes = list(rounds.whole_round(chosen, known, progress.rounds))
        for number in range(progress.episodes, len(episodes)):
            began = time.monotonic()
            one = episodes[number]
            outcomes = await rounds.run(stage, one)
            took = time.monotonic() - began
            wrong = len(progress.wrong)
            progress.add(one.fault, outcomes)
            progress.episodes, progress.seconds = number + 1, progress.seconds + took
            progress.save(file)
            _tell(progress, f"{number + 1}/{len(episodes)} {one.fault.name}", len(outcomes), took)
            for line in progress.wrong[wrong:]:
                _say(f"  {line}")


def _tell(progress: Progress, what: str, count: int, took: float) -> None:
    total = progress.total
    rate = total.scenarios / max(progress.seconds, 1) * 3600
    _say(
        f"{what}: {count} runs in {took:.0f} s; {total.scenarios:,} scenarios, lost {total.lost}, "
        f"doubled {total.doubled}, uncertain {total.uncertain}; {rate:,.0f} an hour"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def drilled(progress: Progress, file: Path, enough: int, only: Sequence[str]) -> int:
    """Drill and tell; 1 when something was lost or doubled, or runs went on too late."""
    await drill(progress, file, enough, only)
    _say(report.table(progress))
    if not only:
        report.write(progress)
    return 0 if progress.is_well(GOES_ON_S) else 1


def main() -> int:
    """Drill as the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--long", action="store_true", help=f"until {ENOUGH:,} scenarios are seen")
    parser.add_argument("--anew", action="store_true", help="forget what was seen before")
    names = [flow.name for flow in (*flows(""), *branches())]
    shown = "this flow alone, and no table: one of %(choices)s"
    parser.add_argument(
        "--flow", action="append", default=[], choices=names, metavar="FLOW", help=shown
    )
    given = parser.parse_args()
    is_part = bool(given.flow)
    file = report.PROGRESS.with_stem("drills-part") if is_part else report.PROGRESS
    kept = Progress() if given.anew or is_part else Progress.load(file)
    progress = kept if given.long or kept.episodes else Progress()
    enough = ENOUGH if given.long else 0
    return asyncio.run(until_stopped(drilled(progress, file, enough, given.flow)))


if __name__ == "__main__":
    sys.exit(main())
