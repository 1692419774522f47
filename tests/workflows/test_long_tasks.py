"""Tasks of a megabyte: their text stays out of history, and what comes of them is short."""

from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle

from durable_agents.db import tasks
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalState
from durable_agents.models.process_task import TaskInput, TaskResult
from durable_agents.models.resilient_task import ResilientTaskInput, ResilientTaskResult
from durable_agents.models.review import ReviewInput, ReviewResult
from durable_agents.models.tracked import TrackedInput, TrackedResult
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")

USER = "u-1"
LARGEST_EVENT, LARGEST_HISTORY = 4_000, 30_000  # bytes

FLOWS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "TaskWorkflow": (TaskInput, TaskResult),
    "ReviewWorkflow": (ReviewInput, ReviewResult),
    "ResilientTaskWorkflow": (ResilientTaskInput, ResilientTaskResult),
    "TrackedWorkflow": (TrackedInput, TrackedResult),
}


async def new_task(database: Database) -> str:
    """A task with a title of 20 KB, a body of 1 MB, and an old result of 1 MB."""
    task_id = runs.token()
    statement = text(
        "INSERT INTO tasks (task_id, user_id, title, body, result)"
        " VALUES (:id, :user, :title, :body, :result)"
    )
    values = {
        "id": task_id,
        "user": USER,
        "title": "A long title. " * 1500,
        "body": f"Write a notice about lift {task_id}. " * 30_000,
        "result": "What came of it before. " * 45_000,
    }
    async with database.statement() as connection:
        await connection.execute(statement, values)
    return task_id


async def approve(handle: WorkflowHandle[Any, Any]) -> None:
    await runs.until_step(handle, "wait for approval 1")
    state = await handle.query("approval", result_type=ApprovalState)
    assert state.pending is not None
    decision = {"verdict": "approve", "digest": state.pending.digest, "by": "Ann"}
    await handle.execute_update("submit_decision", decision)  # pyright: ignore[reportUnknownMemberType] - the SDK's type


@pytest.mark.parametrize("workflow", FLOWS)
async def test_a_task_of_a_megabyte_leaves_a_small_history(
    client: Client, database: Database, workflow: str
) -> None:
    task_id = await new_task(database)
    request, result_type = FLOWS[workflow]

    given = request.model_validate({"user_id": USER, "task_id": task_id})
    handle = await runs.start(client, workflow, given, result_type=result_type)
    if workflow == "ReviewWorkflow":
        await approve(handle)
    result = await runs.result_of(handle)

    async with database.statement() as connection:
        task = await tasks.get_task(connection, task_id)
    assert (task.result, task.status) == (result.result, "done")
    sizes = [event.ByteSize() for event in await runs.events_of(handle)]
    assert max(sizes) < LARGEST_EVENT
    assert sum(sizes) < LARGEST_HISTORY
