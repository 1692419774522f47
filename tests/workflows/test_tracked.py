"""F14 with the real server, the real database, and the simulator as the model."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db import statuses, tasks
from durable_agents.db.engine import Database
from durable_agents.models.tracked import RowStatus, StatusRow, TrackedInput, TrackedResult
from tests.steering import Simulator
from tests.workflows import runs
from workers.reconciler import reconcile

pytestmark = pytest.mark.usefixtures("worker")

WORKFLOW = "TrackedWorkflow"


async def new_task(database: Database, body: str = "Say how much 6 * 7 is.") -> str:
    """A task of the test's own, which names itself, so that faults find it."""
    task_id = runs.token()
    statement = text(
        "INSERT INTO tasks (task_id, user_id, title, body) VALUES (:id, 'u-1', :title, :body)"
    )
    async with database.statement() as connection:
        values = {"id": task_id, "title": f"Task {task_id}", "body": body}
        await connection.execute(statement, values)
    return task_id


async def start(
    client: Client, task_id: str, deadline_s: float = 60
) -> WorkflowHandle[object, object]:
    request = TrackedInput(task_id=task_id, deadline_s=deadline_s)
    return await runs.start(client, WORKFLOW, request, result_type=TrackedResult)


async def row_of(
    database: Database, handle: WorkflowHandle[object, object]
) -> tuple[RowStatus, str, str]:
    async with database.statement() as connection:
        row = await statuses.latest(connection, handle.id)
    assert row is not None
    return row.status, row.step, row.error


async def test_the_row_keeps_pace_and_the_result_is_saved(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "latency", "latency_s": 0.5}):
        handle = await start(client, task_id)
        await runs.until_step(handle, "step1")
        during = await row_of(database, handle)
        result = await runs.result_of(handle)

    assert during == ("running", "step1", "")
    assert await row_of(database, handle) == ("completed", "complete", "")
    assert result.task_id == task_id
    assert result.model == "simulator-extractive-1"
    async with database.statement() as connection:
        saved = await tasks.get_task(connection, task_id)
    assert (saved.result, saved.status) == (result.result, "done")
    status = await runs.status_of(handle)
    assert (status.state, status.steps) == ("completed", ("init", "step1", "step2"))
    assert status.usage.calls == 1


async def test_an_unknown_task_is_refused_and_the_row_says_so(
    client: Client, database: Database
) -> None:
    handle = await start(client, "no-such-task")

    kind, message = await runs.failure_of(handle)

    assert kind == "NotFoundError"
    assert "There is no task no-such-task" in message
    assert await row_of(database, handle) == ("failed", "init", message)


async def test_a_model_that_refuses_fails_the_run_and_the_row_says_in_which_step(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"status": 401, "error_code": "invalid_api_key"}):
        handle = await start(client, task_id)
        kind, message = await runs.failure_of(handle)

    assert kind == "ModelAuthenticationError"
    assert "OPENAI_API_KEY" in message
    assert await row_of(database, handle) == ("failed", "step1", message)
    async with database.statement() as connection:
        assert (await tasks.get_task(connection, task_id)).status == "new"


async def test_a_deadline_fails_the_run_and_the_row_says_so(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        handle = await start(client, task_id, deadline_s=1)
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert await row_of(database, handle) == ("failed", "step1", message)


async def test_a_cancelled_run_closes_its_row(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        handle = await start(client, task_id)
        await runs.until_step(handle, "step1")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert await row_of(database, handle) == ("cancelled", "step1", "The run was cancelled.")
    status = await runs.status_of(handle)
    assert (status.state, status.error) == ("cancelled", "The run was cancelled.")


async def test_the_reconciler_closes_the_row_of_a_terminated_run(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        handle = await start(client, task_id)
        await runs.until_step(handle, "step1")
        await handle.terminate()

        closed = await reconcile(client, database, open_for=timedelta(0))

    assert closed >= 1
    assert await row_of(database, handle) == ("terminated", "step1", "The run was terminated.")


async def test_a_row_of_no_run_does_not_keep_the_reconciler_from_the_others(
    client: Client, database: Database
) -> None:
    word = runs.token()
    async with database.statement() as connection:
        await statuses.save(
            connection,
            run_id=word,
            workflow_id=word,
            workflow_type=WORKFLOW,
            row=StatusRow(status="running"),
        )

    await reconcile(client, database, open_for=timedelta(0))

    async with database.statement() as connection:
        row = await statuses.latest(connection, word)
    assert row is not None
    assert row.status == "terminated"


async def test_the_reconciler_leaves_the_row_of_a_run_that_works(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    async with simulator.faults(task_id, {"kind": "latency", "latency_s": 0.5}):
        handle = await start(client, task_id)
        await runs.until_step(handle, "step1")

        await reconcile(client, database, open_for=timedelta(0))

        assert await row_of(database, handle) == ("running", "step1", "")
        await runs.result_of(handle)


async def test_two_runs_of_one_task_keep_a_row_each(client: Client, database: Database) -> None:
    task_id = await new_task(database)

    first, second = await asyncio.gather(start(client, task_id), start(client, task_id))
    await asyncio.gather(runs.result_of(first), runs.result_of(second))

    assert (await row_of(database, first))[0] == "completed"
    assert (await row_of(database, second))[0] == "completed"


@pytest.mark.parametrize("given", [[], [{"task_id": ""}], [{"task_id": 5}], ["task-1"]], ids=str)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message


@pytest.mark.parametrize("deadline_s", [600, 3], ids=["cancel", "deadline"])
async def test_a_result_that_is_being_saved_stands_whatever_ends_the_run_meanwhile(
    client: Client, database: Database, deadline_s: float
) -> None:
    task_id = await new_task(database)
    async with database.transaction() as connection:  # nobody can save its result meanwhile
        query = text("SELECT 1 FROM tasks WHERE task_id = :id FOR UPDATE")
        await connection.execute(query, {"id": task_id})
        handle = await start(client, task_id, deadline_s=deadline_s)
        await runs.until_step(handle, "step2")
        if deadline_s == 600:
            await handle.cancel()

        async def seen() -> bool:
            kinds = (
                EventType.EVENT_TYPE_TIMER_FIRED,
                EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
            )
            return any([await runs.count_of(handle, kind) for kind in kinds])

        await runs.until(seen, "the run is to end")
    result = await runs.result_of(handle)

    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED
    assert await row_of(database, handle) == ("completed", "complete", "")
    async with database.statement() as connection:
        saved = await tasks.get_task(connection, task_id)
    assert (saved.result, saved.status) == (result.result, "done")
    status = await runs.status_of(handle)
    assert (status.state, status.error) == ("completed", "")
