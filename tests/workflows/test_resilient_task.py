"""F11 with the real server, the real database, and the simulator as the model."""

from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.agent import catalogue
from durable_agents.agent.definition import AgentDefinition
from durable_agents.db import tasks
from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors
from durable_agents.db.tasks import TaskRecord
from durable_agents.models.resilient_task import ResilientTaskInput, ResilientTaskResult
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.model_calls import calls_of
from workflows.resilient_task import FALLBACK, PRIMARY

pytestmark = pytest.mark.usefixtures("worker")

WORKFLOW = "ResilientTaskWorkflow"
MODEL = "simulator-extractive-1"
PRIMARY_SAYS = "You process tasks with care"  # of its instructions: faults find it by them
REFUSED: dict[str, Any] = {"status": 400, "times": -1}

Handle = WorkflowHandle[Any, Any]


async def new_task(database: Database) -> str:
    """A task of the test's own, which names itself, so that faults find it."""
    task_id = runs.token()
    statement = text(
        "INSERT INTO tasks (task_id, user_id, title, body)"
        " VALUES (:id, 'u-1', :title, 'Write a notice: the lift is out of order on Monday.')"
    )
    async with database.statement() as connection:
        await connection.execute(statement, {"id": task_id, "title": f"Notice {task_id}"})
    return task_id


async def task_of(database: Database, task_id: str) -> TaskRecord:
    async with database.statement() as connection:
        return await tasks.get_task(connection, task_id)


async def start(client: Client, task_id: str, deadline_s: float = 60) -> Handle:
    request = ResilientTaskInput(task_id=task_id, deadline_s=deadline_s)
    return await runs.start(client, WORKFLOW, request, result_type=ResilientTaskResult)


@pytest.fixture
def primary_fails(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the primary agent instructions that no other test's faults meet."""
    word = runs.token()
    changed = AgentDefinition(PRIMARY, f"You process tasks ({word}).")
    monkeypatch.setitem(catalogue.AGENTS, PRIMARY, changed)
    return word


async def test_the_primary_agent_does_the_task(client: Client, database: Database) -> None:
    task_id = await new_task(database)

    handle = await start(client, task_id)
    result = await runs.result_of(handle)

    assert (result.is_fallback, result.agent, result.model) == (False, PRIMARY, MODEL)
    assert result.error == ""
    saved = await task_of(database, task_id)
    assert (saved.result, saved.status) == (result.result, "done")
    assert await runs.activities_of(handle) == ["validate-task", "primary", "save-result"]


async def test_the_fallback_does_it_when_the_primary_fails_for_good(
    client: Client, database: Database, simulator: Simulator, primary_fails: str
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(primary_fails, REFUSED):
        handle = await start(client, task_id)
        result = await runs.result_of(handle)

    assert (result.is_fallback, result.agent) == (True, FALLBACK)
    assert "answered 400" in result.error
    assert (await task_of(database, task_id)).result == result.result
    async with database.statement() as connection:
        errors = await list_errors(connection, workflow_id=handle.id)
    assert [(e.type, e.message, e.step) for e in errors] == [
        ("ModelRequestError", result.error, "log-error")
    ]
    assert await runs.activities_of(handle) == [
        "validate-task",
        "primary",
        "log-error",
        "fallback",
        "save-result",
    ]
    assert await calls_of(database, handle) == [
        ("primary", PRIMARY, MODEL, "ModelRequestError"),
        ("fallback", FALLBACK, MODEL, "ok"),
    ]


async def test_a_primary_that_keeps_saying_nothing_has_failed(
    client: Client, database: Database, simulator: Simulator, primary_fails: str
) -> None:
    async with simulator.faults(primary_fails, {"kind": "empty", "times": -1}):
        handle = await start(client, await new_task(database))
        result = await runs.result_of(handle)

    assert result.is_fallback
    assert "no usable answer in 3 tries" in result.error
    assert result.result != ""


async def test_a_passing_failure_of_the_primary_is_tried_again_and_not_handed_on(
    client: Client, database: Database, simulator: Simulator, primary_fails: str
) -> None:
    busy = {"status": 503, "retry_after": {"form": "ms", "value": 10}}

    async with simulator.faults(primary_fails, busy):
        handle = await start(client, await new_task(database))
        result = await runs.result_of(handle)

    assert not result.is_fallback
    assert await runs.attempts_of(handle, "primary") == 2


async def test_when_both_fail_the_run_fails_and_nothing_is_saved(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, REFUSED):
        handle = await start(client, task_id)
        kind, _ = await runs.failure_of(handle)

    assert kind == "ModelRequestError"
    assert (await task_of(database, task_id)).status == "new"
    assert [call[0] for call in await calls_of(database, handle)] == ["primary", "fallback"]


async def test_a_failed_save_never_starts_the_fallback(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    delete = text("DELETE FROM tasks WHERE task_id = :id")

    async with simulator.faults(task_id, {"kind": "latency", "latency_s": 0.5}):
        handle = await start(client, task_id)

        async def is_asked() -> bool:
            return all(fault["match"] != task_id for fault in await simulator.faults_left())

        await runs.until(is_asked, "the model is asked")
        async with database.statement() as connection:
            await connection.execute(delete, {"id": task_id})
        kind, message = await runs.failure_of(handle)

    assert (kind, f"no task {task_id}" in message) == ("NotFoundError", True)
    assert await runs.activities_of(handle) == ["validate-task", "primary", "save-result"]


async def test_a_cancel_never_starts_the_fallback(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        handle = await start(client, task_id)
        await runs.until_step(handle, "primary")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert await runs.activities_of(handle) == ["validate-task", "primary"]


async def test_the_deadline_never_starts_the_fallback(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        handle = await start(client, task_id, deadline_s=1)
        kind, _ = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert await runs.activities_of(handle) == ["validate-task", "primary"]


async def test_an_agent_without_a_place_in_the_catalogue_is_no_failure_of_a_model(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(catalogue.AGENTS, PRIMARY)

    handle = await start(client, await new_task(database))
    kind, _ = await runs.failure_of(handle)

    assert kind == "UnknownAgentError"
    assert "fallback" not in await runs.activities_of(handle)


async def test_an_unknown_task_is_refused(client: Client) -> None:
    handle = await start(client, "no-such-task")

    kind, message = await runs.failure_of(handle)

    assert (kind, "no task no-such-task" in message) == ("NotFoundError", True)


@pytest.mark.parametrize("given", [[], [{"task_id": ""}], ["task-1"]], ids=str)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
