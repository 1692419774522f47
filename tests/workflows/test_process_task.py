"""F4 with the real server, the real database, the simulator, and a service that notifies."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db import tasks
from durable_agents.db.engine import Database
from durable_agents.db.tasks import TaskRecord
from durable_agents.models.process_task import TaskInput, TaskResult
from durable_agents.runtime.settings import Settings
from tests.clients.receiver import Receiver, receiver
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.own_workers import own_workers

WORKFLOW = "TaskWorkflow"
USER = "u-1"


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


@pytest.fixture(scope="module")
async def notifying(settings: Settings, service: Receiver) -> AsyncIterator[Client]:
    """Workers that notify through a service."""
    async with own_workers(settings, notify_urls=_secret(service.url())) as client:
        yield client


def _secret(value: str) -> Any:
    return type(Settings().notify_urls)(value)


async def new_task(database: Database, body: str = "Say how much 6 * 7 is.") -> str:
    """A task of the test's own, which names itself, so that faults find it."""
    task_id = runs.token()
    statement = text(
        "INSERT INTO tasks (task_id, user_id, title, body) VALUES (:id, :user, :title, :body)"
    )
    values = {"id": task_id, "user": USER, "title": f"Task {task_id}", "body": body}
    async with database.statement() as connection:
        await connection.execute(statement, values)
    return task_id


async def saved(database: Database, task_id: str) -> TaskRecord:
    async with database.statement() as connection:
        return await tasks.get_task(connection, task_id)


async def start(client: Client, task_id: str, **options: Any) -> WorkflowHandle[Any, Any]:
    request = TaskInput.model_validate({"user_id": USER, "task_id": task_id, **options})
    return await runs.start(client, WORKFLOW, request, result_type=TaskResult)


@pytest.mark.usefixtures("worker")
async def test_a_task_is_processed_saved_and_told(client: Client, database: Database) -> None:
    task_id = await new_task(database)

    handle = await start(client, task_id)
    result = await runs.result_of(handle)

    assert (result.task_id, result.model) == (task_id, "simulator-extractive-1")
    assert (result.notification, result.notification_error) == ("kept", "")
    task = await saved(database, task_id)
    assert (task.result, task.status) == (result.result, "done")
    assert (await runs.status_of(handle)).steps == (
        "validate task",
        "process with model",
        "save results",
        "notify user",
    )


async def test_the_user_is_notified_once(
    notifying: Client, database: Database, service: Receiver
) -> None:
    task_id = await new_task(database)

    result = await runs.result_of(await start(notifying, task_id))

    told = [message for message in service.messages if task_id in message["message"]]
    assert result.notification == "sent"
    assert [message["title"] for message in told] == ["Task processing complete"]


async def test_a_failed_notification_does_not_undo_the_result(
    notifying: Client, database: Database, service: Receiver
) -> None:
    task_id = await new_task(database)
    service.statuses = [500]

    try:
        handle = await start(notifying, task_id, deadline_s=5)
        result = await runs.result_of(handle)
    finally:
        service.statuses = [200]

    assert result.notification == "failed"
    assert "NOTIFY_URLS" in result.notification_error
    task = await saved(database, task_id)
    assert (task.result, task.status) == (result.result, "done")
    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("user_id", ["u-2", "U-1"])
async def test_a_task_of_another_user_is_refused(
    client: Client, database: Database, user_id: str
) -> None:
    task_id = await new_task(database)

    handle = await start(client, task_id, user_id=user_id)
    kind, message = await runs.failure_of(handle)

    assert kind == "TaskValidationError"
    assert message.startswith("Task validation failed")
    assert await runs.activities_of(handle) == ["validate-task"]
    assert await runs.attempts_of(handle, "validate-task") == 1
    assert (await saved(database, task_id)).status == "new"


@pytest.mark.usefixtures("worker")
async def test_an_unknown_task_is_refused(client: Client) -> None:
    handle = await start(client, "no-such-task")

    kind, message = await runs.failure_of(handle)

    assert kind == "TaskValidationError"
    assert message.startswith("Task validation failed: user u-1 has no task no-such-task")


@pytest.mark.usefixtures("worker")
async def test_a_task_that_says_nothing_is_refused(client: Client, database: Database) -> None:
    handle = await start(client, await new_task(database, body=" \n"))

    kind, message = await runs.failure_of(handle)

    assert kind == "TaskValidationError"
    assert "says nothing to do" in message


@pytest.mark.usefixtures("worker")
async def test_a_model_that_says_nothing_fails_the_run_and_saves_nothing(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "empty", "times": -1}):
        handle = await start(client, task_id)
        kind, _ = await runs.failure_of(handle)

    assert kind == "ModelOutputError"
    assert (await saved(database, task_id)).status == "new"


@pytest.mark.usefixtures("worker")
async def test_a_model_that_refuses_fails_the_run(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"status": 401, "error_code": "invalid_api_key"}):
        kind, message = await runs.failure_of(await start(client, task_id))

    assert kind == "ModelAuthenticationError"
    assert "OPENAI_API_KEY" in message


@pytest.mark.usefixtures("worker")
async def test_a_task_that_is_done_is_processed_anew(client: Client, database: Database) -> None:
    task_id = await new_task(database)

    results = [await runs.result_of(await start(client, task_id)) for _ in range(2)]

    assert results[0].result == results[1].result
    assert (await saved(database, task_id)).status == "done"


@pytest.mark.usefixtures("worker")
async def test_a_model_that_hangs_ends_the_run_at_its_deadline(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        kind, message = await runs.failure_of(await start(client, task_id, deadline_s=1))

    assert kind == "DeadlineExceededError"
    assert "within 1 s" in message


@pytest.mark.usefixtures("worker")
async def test_a_cancelled_run_ends_cancelled(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        handle = await start(client, task_id)
        await runs.until_step(handle, "process with model")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "given",
    [[], [{"task_id": "t"}], [{"user_id": "", "task_id": "t"}], [{"user_id": "u", "task_id": 5}]],
    ids=str,
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
