import uuid

import pytest
from sqlalchemy import insert

from durable_agents.db.engine import Database
from durable_agents.db.tables import Task
from durable_agents.db.tasks import TaskRecord, get_task, save_result
from durable_agents.models.errors import NotFoundError


@pytest.fixture
async def task(database: Database) -> TaskRecord:
    task = TaskRecord(task_id=f"task-{uuid.uuid4()}", user_id="user-1", title="T", body="B")
    async with database.transaction() as connection:
        await connection.execute(insert(Task).values(task.model_dump()))
    return task


async def test_a_task_is_read_as_it_was_written(database: Database, task: TaskRecord) -> None:
    async with database.statement() as connection:
        found = await get_task(connection, task.task_id)

    assert found == task


async def test_a_task_that_is_not_there_is_named(database: Database) -> None:
    async with database.statement() as connection:
        with pytest.raises(NotFoundError, match="There is no task task-none"):
            await get_task(connection, "task-none")
        with pytest.raises(NotFoundError, match="There is no task task-none"):
            await save_result(connection, task_id="task-none", result="r")


async def test_the_latest_result_is_kept(database: Database, task: TaskRecord) -> None:
    async with database.statement() as connection:
        await save_result(connection, task_id=task.task_id, result="first")
        await save_result(connection, task_id=task.task_id, result="second")
        found = await get_task(connection, task.task_id)

    assert found.result == "second"
    assert found.status == "done"
