"""Starts reviews, waits for what they ask, and decides as people would."""

from typing import Any

from sqlalchemy import select, text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle

from durable_agents.db import tasks
from durable_agents.db.approval_lists import RequestRecord, get_request
from durable_agents.db.approval_tables import ApprovalRequest
from durable_agents.db.engine import Database
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


async def rows_of(database: Database, handle: Handle) -> list[RequestRecord]:
    """The requests of a run, the first first."""
    async with database.statement() as connection:
        query = select(ApprovalRequest.request_id).filter_by(workflow_id=handle.id)
        found = await connection.scalars(query.order_by(ApprovalRequest.request_id))
        return [await get_request(connection, number) for number in found]


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


async def until_another(handle: Handle, before: PendingApproval) -> PendingApproval:
    """What a run waits for, once it is something else than before."""
    found: list[PendingApproval] = []

    async def there() -> bool:
        pending = (await approval_of(handle)).pending
        found[:] = [pending] if pending is not None and pending.digest != before.digest else []
        return bool(found)

    await runs.until(there, "another request")
    return found[0]


async def finished_tasks(handle: Handle) -> list[int]:
    """The workflow tasks of a run that are done."""
    return [
        event.event_id
        for event in await runs.events_of(handle)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]


async def reset(client: Client, handle: Handle, task: int = 0) -> Handle:
    """Let another run take the place of one, from a workflow task on: its latest one."""
    task = task or (await finished_tasks(handle))[-1]
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="A test.",
            request_id=runs.token(),
            workflow_task_finish_event_id=task,
        ),
        retry=True,
    )
    return client.get_workflow_handle(handle.id, run_id=answer.run_id, result_type=ReviewResult)
