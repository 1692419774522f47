import uuid

from durable_agents.db.engine import Database
from durable_agents.db.error_log import ErrorRecord, list_errors, log_error
from durable_agents.models.conversation import LoggedError


async def log(database: Database, workflow_id: str, step: str, message: str) -> None:
    async with database.statement() as connection:
        await log_error(
            connection,
            workflow_id=workflow_id,
            run_id=f"{workflow_id}/1",
            step=step,
            error=LoggedError(type="MaxRounds", message=message),
        )


async def listed(database: Database, workflow_id: str, limit: int = 50) -> list[ErrorRecord]:
    async with database.statement() as connection:
        return await list_errors(connection, workflow_id=workflow_id, limit=limit)


async def test_an_error_is_listed_as_it_was_logged(database: Database) -> None:
    workflow_id = f"react-{uuid.uuid4()}"
    await log(database, workflow_id, "7", "Max iterations reached without completion")

    (error,) = await listed(database, workflow_id)
    assert error.model_dump(exclude={"created_at"}) == {
        "workflow_id": workflow_id,
        "run_id": f"{workflow_id}/1",
        "step": "7",
        "type": "MaxRounds",
        "message": "Max iterations reached without completion",
    }


async def test_a_second_delivery_of_a_step_leaves_one_error(database: Database) -> None:
    workflow_id = f"react-{uuid.uuid4()}"
    await log(database, workflow_id, "7", "first")
    await log(database, workflow_id, "7", "second")

    assert [error.message for error in await listed(database, workflow_id)] == ["second"]


async def test_errors_are_listed_newest_first_up_to_the_limit(database: Database) -> None:
    workflow_id = f"react-{uuid.uuid4()}"
    for step in ("1", "2", "3"):
        await log(database, workflow_id, step, "m")

    assert [error.step for error in await listed(database, workflow_id, limit=2)] == ["3", "2"]
    async with database.statement() as connection:
        assert workflow_id in {error.workflow_id for error in await list_errors(connection)}
