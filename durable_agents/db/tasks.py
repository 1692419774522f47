"""Tasks: work that a flow takes up by its id."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.tables import Task
from durable_agents.models.errors import NotFoundError, TaskValidationError
from durable_agents.models.tracked import TaskRecord


async def get_task(connection: AsyncConnection, task_id: str) -> TaskRecord:
    """Read one task.

    Raises:
        NotFoundError: There is none of this id.
    """
    found = await connection.execute(select(Task).where(Task.task_id == task_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise _no_task(task_id)
    return TaskRecord.model_validate(dict(row))


async def get_user_task(connection: AsyncConnection, *, user_id: str, task_id: str) -> TaskRecord:
    """Read one task of a user, to be worked on.

    Raises:
        TaskValidationError: There is none of this id, it is another user's (which of the two is
            not told), or it says nothing to do.
    """
    query = select(Task).where(Task.task_id == task_id, Task.user_id == user_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise TaskValidationError(
            f"Task validation failed: user {user_id} has no task {task_id}. Check both ids and "
            "start again."
        )
    if not str(row["body"]).strip():
        raise TaskValidationError(
            f"Task validation failed: task {task_id} says nothing to do. Give it a body and start "
            "again."
        )
    return TaskRecord.model_validate(dict(row))


async def save_result(
    connection: AsyncConnection, *, task_id: str, result: str, status: str = "done"
) -> None:
    """Keep what came of a task, in place of what came of it before.

    Raises:
        NotFoundError: There is no task of this id.
    """
    saved = await connection.execute(
        update(Task).where(Task.task_id == task_id).values(result=result, status=status)
    )
    if saved.rowcount == 0:
        raise _no_task(task_id)


def _no_task(task_id: str) -> NotFoundError:
    return NotFoundError(f"There is no task {task_id}. Check the id and start again.")
