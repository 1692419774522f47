"""F9 with the real server, the real database, and the simulator as the model."""

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors
from durable_agents.models.status import Usage
from tests.steering import Simulator
from tests.workflows import runs
from workflows.react import OUT_OF_ROUNDS

pytestmark = pytest.mark.usefixtures("worker")


async def roles_of(database: Database, thread: int) -> list[str]:
    """Who says what in a thread, in order; observations that are no part of it are left out."""
    query = text(
        "SELECT role FROM messages WHERE thread_id = :thread AND position >= 0 ORDER BY position"
    )
    async with database.statement() as connection:
        return list(await connection.scalars(query, {"thread": thread}))


async def test_an_agent_answers_with_what_its_tools_found(
    client: Client, database: Database
) -> None:
    task = "What is 12.5 % of 2480, and what is the weather in Oslo?"

    result = await runs.react(client, task)

    assert "310" in result.answer
    assert "Oslo" in result.answer
    assert result.stopped == "answered"
    assert (result.rounds, result.tool_calls_made) == (2, 2)
    assert {(call.tool, call.outcome) for call in result.tool_calls} == {
        ("calculate", "done"),
        ("get_weather", "done"),
    }
    assert result.usage.calls == 2
    assert result.usage.cost_usd > 0
    assert result.model == "simulator-extractive-1"
    assert await roles_of(database, result.thread) == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]


async def test_a_thread_goes_on_with_what_was_said_before(
    client: Client, database: Database, simulator: Simulator
) -> None:
    before, after = runs.token(), runs.token()
    first = await runs.react(client, f"What is 2 + 3? {before}")

    second = await runs.react(client, f"What is 4 + 4? {after}", thread=first.thread)

    assert second.thread == first.thread
    assert "8" in second.answer
    asked = await simulator.calls(after)
    assert all(before in call["body"] for call in asked)
    assert len(await roles_of(database, first.thread)) == 8


async def test_out_of_rounds_ends_the_run_in_order_and_leaves_a_row(
    client: Client, database: Database
) -> None:
    handle = await runs.start_react(client, "Please simulate 5 rounds.", max_rounds=2)

    result = await runs.result_of(handle)

    assert result.stopped == "max_rounds"
    assert result.answer == OUT_OF_ROUNDS
    assert (result.rounds, result.tool_calls_made, result.usage.calls) == (2, 2, 2)
    async with database.statement() as connection:
        rows = await list_errors(connection, workflow_id=handle.id)
    assert [(row.type, row.message, row.step) for row in rows] == [
        ("max_rounds", OUT_OF_ROUNDS, "log-error")
    ]


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        ({"max_calls": 2}, "2 model calls"),
        ({"max_tokens": 1300}, "max_tokens"),
        ({"max_cost_usd": 0.00001}, "max_cost_usd"),
    ],
    ids=["calls", "tokens", "cost"],
)
async def test_a_budget_ends_the_run_in_order_and_leaves_a_row(
    client: Client, database: Database, budget: dict[str, float], word: str
) -> None:
    handle = await runs.start_react(client, "Please simulate 9 rounds.", max_rounds=9, **budget)

    result = await runs.result_of(handle)

    assert result.stopped == "budget"
    assert word in result.answer
    used = result.usage
    assert used.input_tokens + used.output_tokens <= budget.get("max_tokens", 10**6)
    assert used.cost_usd <= budget.get("max_cost_usd", 1)
    assert used.calls <= budget.get("max_calls", 10)
    async with database.statement() as connection:
        rows = await list_errors(connection, workflow_id=handle.id)
    assert [row.type for row in rows] == ["budget"]


async def test_the_status_tells_the_step_while_the_run_works_and_the_sum_at_its_end(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()
    slow = {"kind": "latency", "latency_s": 0.7}

    async with simulator.faults(word, slow):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await runs.until_step(handle, "think 1")
        during = await runs.status_of(handle)
        result = await runs.result_of(handle)
    after = await runs.status_of(handle)

    assert (during.state, during.steps, during.usage) == ("running", ("open thread",), Usage())
    assert (after.state, after.step, after.error) == ("completed", "", "")
    assert after.steps == ("open thread", "think 1", "calculate 1.1", "observe 1", "think 2")
    assert after.steps_done == 5
    assert after.usage == result.usage


async def test_the_status_of_a_failed_run_tells_why(client: Client) -> None:
    handle = await runs.start_react(client, "Anything.", agent="nobody")
    await runs.failure_of(handle)

    status = await runs.status_of(handle)

    assert status.state == "failed"
    assert "no agent named 'nobody'" in status.error
    assert status.step == ""


async def test_a_run_is_cancelled_while_the_model_thinks(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await runs.until_step(handle, "think 1")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await runs.result_of(handle)
    status = await runs.status_of(handle)

    assert isinstance(ended.value.cause, CancelledError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert (status.state, status.step) == ("cancelled", "")


async def test_a_run_is_cancelled_while_a_tool_works(client: Client, simulator: Simulator) -> None:
    async with simulator.faults("Vienna", {"route": "weather", "kind": "hang", "times": -1}):
        handle = await runs.start_react(client, "What is the weather in Vienna?")
        await runs.until_step(handle, "get_weather 1.1")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await runs.result_of(handle)

    assert isinstance(ended.value.cause, CancelledError)
    assert (await runs.status_of(handle)).state == "cancelled"


async def test_a_model_that_never_answers_ends_at_the_deadline(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}", deadline_s=1)
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 1 s" in message
    status = await runs.status_of(handle)
    assert (status.state, status.error) == ("failed", message)


@pytest.mark.parametrize(
    ("signal", "given"), [("nothing_we_know", [{"x": 1}]), ("status", ["?"]), ("?", [None, 7])]
)
async def test_a_signal_nobody_takes_changes_nothing(
    client: Client, simulator: Simulator, signal: str, given: list[object]
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "latency", "latency_s": 0.4}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await handle.signal(signal, args=given)
        result = await runs.result_of(handle)

    assert "42" in result.answer
    assert result.rounds == 2
