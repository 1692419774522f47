"""Starts reviews, waits for what they ask, and decides as people would."""

from typing import Any

from sqlalchemy import select, text
from temporalio.client import Client, WorkflowHandle

from durable_agents.db import reviews, tasks
from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Review
from durable_agents.db.reviews import ReviewRecord
from durable_agents.db.tasks import TaskRecord
from durable_agents.models.approval import (
    ApprovalState,
    Decision,
    PendingApproval,
    TakenDecision,
)
from durable_agents.models.review import ReviewInput, ReviewResult
from tests.workflows import runs

WORKFLOW = "ReviewWorkflow"
UPDATE, SIGNAL = "submit_decision", "decide"

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


async def rows_of(database: Database, handle: Handle) -> list[ReviewRecord]:
    """The reviews of a run, the first revision first."""
    async with database.statement() as connection:
        query = select(Review.review_id).filter_by(workflow_id=handle.id)
        found = await connection.scalars(query.order_by(Review.review_id))
        return [await reviews.get_review(connection, number) for number in found]


async def start(client: Client, task_id: str, **options: Any) -> Handle:
    request = ReviewInput(task_id=task_id, **options)
    return await runs.start(client, WORKFLOW, request, result_type=ReviewResult)


async def approval_of(handle: Handle) -> ApprovalState:
    return await handle.query("approval", result_type=ApprovalState)


async def waiting(handle: Handle, revision: int = 1) -> PendingApproval:
    """What a run waits for, once it waits for a decision on a revision."""
    await runs.until_step(handle, f"wait for approval {revision}")
    pending = (await approval_of(handle)).pending
    assert pending is not None
    assert pending.revision == revision
    return pending


async def decide(handle: Handle, pending: PendingApproval, **decision: Any) -> TakenDecision:
    given = Decision.model_validate({"digest": pending.digest, **decision})
    return await submit(handle, given)


async def submit(handle: Handle, decision: object) -> TakenDecision:
    return await handle.execute_update(UPDATE, decision, result_type=TakenDecision)  # pyright: ignore[reportUnknownMemberType] - the SDK's type
