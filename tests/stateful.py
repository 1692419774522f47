"""Model-based tests on the real database: how long they are, and how their steps reach it.

DRILL_EXAMPLES says how many sequences of steps each tries; without it, a few, always the same.
"""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from durable_agents.db.engine import Database

Result = TypeVar("Result")
Action = Callable[[random.Random], object]
RUSH = 60
SEEDS = st.integers(1_000, 2**32)
DRILL = int(os.environ.get("DRILL_EXAMPLES", "0"))


class Steps(RuleBasedStateMachine):
    """Base of the machines: their steps are coroutines on one loop and one database."""

    runner: asyncio.Runner
    database: Database

    def rush(self, seed: int, *actions: Action) -> None:
        """Take many steps by chance: a few examples would hardly come to where it gets difficult.

        Args:
            seed: From which the same steps follow.
            actions: What can be done; one that is named twice is done twice as often.
        """
        chance = random.Random(seed)
        for _ in range(RUSH):
            chance.choice(actions)(chance)
            self.check_invariants_now()

    def begin_by_chance(self, seed: int) -> None:
        """Make what the machine works on, and rush."""

    def check_invariants_now(self) -> None:
        """Look whether all is well; machines say what that means."""

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a step to its end."""
        return self.runner.run(work)


def play(
    machine: type[Steps], url: str, *, examples: int, steps: int, seeds: Sequence[int] = ()
) -> None:
    """Try sequences of a machine's steps on a database: those of some seeds, then new ones."""
    with _opened(url) as (runner, database):
        machine.runner, machine.database = runner, database
        for seed in range(DRILL) if DRILL and seeds else seeds:
            _rush_alone(machine, seed)
        run_state_machine_as_test(  # pyright: ignore[reportUnknownMemberType] - hypothesis' type
            machine,
            settings=settings(
                max_examples=DRILL or examples,
                stateful_step_count=steps,
                derandomize=not DRILL,
                database=None,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                print_blob=True,
            ),
        )


def _rush_alone(machine: type[Steps], seed: int) -> None:
    """One sequence from a seed, without looking for a shorter one."""
    one = machine()
    try:
        one.begin_by_chance(seed)
        one.teardown()
    except BaseException as error:
        error.add_note(f"{machine.__name__} came to this with the seed {seed}.")
        raise


@contextmanager
def _opened(url: str) -> Generator[tuple[asyncio.Runner, Database]]:
    with asyncio.Runner() as runner:
        database = Database(url)
        try:
            yield runner, database
        finally:
            runner.run(database.close())
