"""F10: decisions that come by signal, which nobody can refuse to its sender."""

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.models.approval import Decision
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.reviewing import SIGNAL, Handle, decide, new_task, rows_of, start, waiting

pytestmark = pytest.mark.usefixtures("worker")


async def until_note(handle: Handle, word: str) -> None:
    async def there() -> bool:
        return word in (await runs.status_of(handle)).note

    await runs.until(there, f"a note with {word!r}")


async def test_a_signal_decides_as_well(client: Client, database: Database) -> None:
    handle = await start(client, await new_task(database))
    pending = await waiting(handle)

    await handle.signal(SIGNAL, {"verdict": "approve", "digest": pending.digest, "by": "Ann"})
    result = await runs.result_of(handle)

    assert (result.status, result.decided_by) == ("approved", "Ann")


async def test_a_signal_that_does_not_fit_or_is_stale_changes_nothing_but_the_note(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    pending = await waiting(handle)
    stray: dict[str, list[Any]] = {
        "verdict Input should be": [{"verdict": "perhaps"}],
        "valid dictionary": [],
        "Field required": [{}],
        "dictionary": ["approve"],
        "(digest 0123)": [{"verdict": "approve", "digest": "0123"}],
        "needs feedback": [{"verdict": "reject", "digest": pending.digest}],
        "does not say which": [{"verdict": "approve"}],
    }

    for word, args in stray.items():
        await handle.signal(SIGNAL, args=args)
        await until_note(handle, word)

    status = await runs.status_of(handle)
    assert (status.state, status.step) == ("running", "wait for approval 1")
    assert status.note.startswith("A decision was not taken: ")
    assert await runs.count_of(handle, EventType.EVENT_TYPE_TIMER_STARTED) == 2  # no more
    assert await runs.count_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED) == 0
    await decide(handle, pending, verdict="approve")
    await runs.result_of(handle)
    assert (await runs.status_of(handle)).note == ""


async def test_a_signal_that_comes_early_is_kept_until_it_can_be_judged(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    handle = await start(client, task_id)
    digest = (await waiting(handle)).digest  # the simulator says the same when asked the same
    await handle.terminate()

    async with simulator.faults(task_id, {"kind": "latency", "latency_s": 0.5}):
        again = await start(client, task_id)
        await runs.until_step(again, "process")
        await again.signal(SIGNAL, Decision(verdict="approve", digest="0" * 16))
        await again.signal(SIGNAL, Decision(verdict="approve", digest=digest, by="Ann"))
        result = await runs.result_of(again)

    assert (result.status, result.decided_by) == ("approved", "Ann")


async def test_the_same_signal_twice_counts_once(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    handle = await start(client, task_id)
    pending = await waiting(handle)
    twice = Decision(verdict="reject", digest=pending.digest, by="Ann", feedback="Longer.")

    await asyncio.gather(handle.signal(SIGNAL, twice), handle.signal(SIGNAL, twice))
    await waiting(handle, 2)

    rows = await rows_of(database, handle)
    assert [row.status for row in rows] == ["rejected", "pending_review"]
    assert (await runs.status_of(handle)).note != ""
    await handle.terminate()
