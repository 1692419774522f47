"""Tasks: work that a flow takes up by its id."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.tables import Task
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError, TaskValidationError
from durable_agents.models.tracked import TaskFacts

TITLE_CHARS = 200  # of a title, in history


class TaskRecord(Record):
    """A task as the database holds it; `result` is there once a flow has saved one."""

    task_id: str
    user_id: str = ""
    title: str
    body: str
    status: str = "new"
    result: str | None = None


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


async def find_facts(connection: AsyncConnection, task_id: str) -> TaskFacts:
    """Read what history learns of a task, without its text.

    Raises:
        NotFoundError: There is none of this id.
    """
    query = _facts().where(Task.task_id == task_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _no_task(task_id)
    return TaskFacts.model_validate(dict(row))


async def find_facts_of_user(
    connection: AsyncConnection, *, user_id: str, task_id: str
) -> TaskFacts:
    """Read what history learns of a user's task, which is to be worked on.

    Raises:
        TaskValidationError: There is none of this id, it is another user's (which of the two is
            not told), or it says nothing to do.
    """
    says_something: ColumnElement[bool] = Task.body.regexp_match(r"\S")
    query = (
        _facts()
        .add_columns(says_something.label("says_something"))
        .where(Task.task_id == task_id, Task.user_id == user_id)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise TaskValidationError(
            f"Task validation failed: user {user_id} has no task {task_id}. Check both ids and "
            "start again."
        )
    if not row["says_something"]:
        raise TaskValidationError(
            f"Task validation failed: task {task_id} says nothing to do. Give it a body and start "
            "again."
        )
    return TaskFacts.model_validate(dict(row))


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


def _facts() -> Select[str, str, Any, int]:
    return select(
        Task.task_id,
        Task.user_id,
        func.left(Task.title, TITLE_CHARS).label("title"),
        func.char_length(Task.body).label("chars"),
    )


def _no_task(task_id: str) -> NotFoundError:
    return NotFoundError(f"There is no task {task_id}. Check the id and start again.")
