"""A run that grows long goes on in a new one, on a server that suggests it early."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.runtime.settings import Settings
from tests.conftest import early_server, running_workers
from tests.steering import Simulator
from tests.workflows import runs


@pytest.fixture(scope="module")
async def early(settings: Settings) -> AsyncIterator[Client]:
    """A server on which runs continue as new after about three rounds."""
    async with (
        await early_server() as environment,
        running_workers(environment.client, settings),
    ):
        yield environment.client


async def first_run(client: Client, handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus:
    """How the first run of a chain ended."""
    first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    status = (await first.describe()).status
    assert status is not None
    return status


async def test_a_long_run_continues_as_new_and_loses_nothing(
    early: Client, database: Database
) -> None:
    handle = await runs.start_react(early, "Please simulate 12 rounds.", max_rounds=20)

    result = await runs.result_of(handle)

    assert await first_run(early, handle) == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert "1 + 11 = 12" in result.answer
    assert (result.rounds, result.tool_calls_made, result.usage.calls) == (13, 12, 13)
    assert [call.about for call in result.tool_calls] == [f"1 + {n}" for n in range(12)]
    status = await runs.status_of(early.get_workflow_handle(handle.id))
    assert status.steps_done == 1 + 12 * 3 + 1
    assert status.usage == result.usage
    query = text("SELECT count(*), max(position) FROM messages WHERE thread_id = :thread")
    async with database.statement() as connection:
        row = (await connection.execute(query, {"thread": result.thread})).one()
    assert tuple(row) == (26, 25)


async def test_rounds_are_counted_over_the_whole_chain(early: Client) -> None:
    handle = await runs.start_react(early, "Please simulate 12 rounds.", max_rounds=6)

    result = await runs.result_of(handle)

    assert await first_run(early, handle) == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert (result.stopped, result.rounds) == ("max_rounds", 6)


async def test_the_budget_belongs_to_the_whole_chain(early: Client) -> None:
    handle = await runs.start_react(early, "Please simulate 12 rounds.", max_rounds=20, max_calls=7)

    result = await runs.result_of(handle)

    assert await first_run(early, handle) == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert (result.stopped, result.usage.calls) == ("budget", 7)


async def test_the_deadline_belongs_to_the_whole_chain(early: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "latency", "latency_s": 0.2, "times": -1}):
        handle = await runs.start_react(
            early, f"Please simulate 90 rounds. {word}", max_rounds=99, deadline_s=3
        )
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 3 s" in message
    assert await first_run(early, handle) == WorkflowExecutionStatus.CONTINUED_AS_NEW


async def test_a_ticket_is_filed_once_for_each_occurrence_over_the_whole_chain(
    early: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    task = f"Please file a ticket: my monitor {word} is broken."

    async with simulator.faults(word, {"kind": "loop", "times": 7}):
        handle = await runs.start_react(early, task, agent="support", max_rounds=9)
        result = await runs.result_of(handle)

    assert await first_run(early, handle) == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert result.tool_calls_made == 7
    query = text(
        "SELECT count(*), count(DISTINCT effect_key) FROM tickets WHERE description LIKE :w"
    )
    async with database.statement() as connection:
        row = (await connection.execute(query, {"w": f"%{word}%"})).one()
    assert tuple(row) == (7, 7)
