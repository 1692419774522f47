import asyncio
import uuid
from datetime import timedelta

import pytest

from durable_agents.db import statuses
from durable_agents.db.engine import Database
from durable_agents.db.statuses import StatusRecord
from durable_agents.models.tracked import RowStatus, StatusRow

NOW = timedelta(0)


@pytest.fixture
def workflow_id() -> str:
    return f"tracked-{uuid.uuid4()}"


async def save(database: Database, workflow_id: str, row: StatusRow, run: str = "1") -> None:
    async with database.statement() as connection:
        await statuses.save(
            connection,
            run_id=f"{workflow_id}/{run}",
            workflow_id=workflow_id,
            workflow_type="TrackedWorkflow",
            row=row,
        )


async def latest(database: Database, workflow_id: str) -> StatusRecord:
    async with database.statement() as connection:
        row = await statuses.latest(connection, workflow_id)
    assert row is not None
    return row


async def open_ids(database: Database, older_than: timedelta) -> list[str]:
    async with database.statement() as connection:
        rows = await statuses.open_rows(connection, older_than=older_than, limit=10_000)
    return [row.workflow_id for row in rows]


async def close(database: Database, workflow_id: str, status: RowStatus) -> bool:
    async with database.statement() as connection:
        run_id = f"{workflow_id}/1"
        return await statuses.close(connection, run_id=run_id, status=status, error="gone")


async def test_a_row_follows_its_run(database: Database, workflow_id: str) -> None:
    await save(database, workflow_id, StatusRow(status="running", step="init"))
    first = await latest(database, workflow_id)
    await save(database, workflow_id, StatusRow(status="running", step="step1"))
    second = await latest(database, workflow_id)

    assert (first.status, first.step) == ("running", "init")
    assert (second.step, second.workflow_type) == ("step1", "TrackedWorkflow")
    assert second.started_at == first.started_at < second.updated_at


@pytest.mark.parametrize("ended", ["completed", "failed", "cancelled"])
async def test_a_late_write_does_not_open_what_has_ended(
    database: Database, workflow_id: str, ended: RowStatus
) -> None:
    await save(database, workflow_id, StatusRow(status=ended, step="complete", error="e"))
    await save(database, workflow_id, StatusRow(status="running", step="step1"))

    row = await latest(database, workflow_id)
    assert (row.status, row.step, row.error) == (ended, "complete", "e")


async def test_what_the_run_says_of_its_end_replaces_what_the_reconciler_said(
    database: Database, workflow_id: str
) -> None:
    await save(database, workflow_id, StatusRow(status="running"))
    await close(database, workflow_id, "timed_out")
    await save(database, workflow_id, StatusRow(status="completed", step="complete"))

    row = await latest(database, workflow_id)
    assert (row.status, row.error) == ("completed", "")


async def test_the_latest_row_is_that_of_the_newest_run(
    database: Database, workflow_id: str
) -> None:
    await save(database, workflow_id, StatusRow(status="running"), run="1")
    await save(database, workflow_id, StatusRow(status="running"), run="2")
    await save(database, workflow_id, StatusRow(status="terminated"), run="1")

    assert (await latest(database, workflow_id)).run_id == f"{workflow_id}/2"


async def test_a_workflow_without_a_row_has_no_latest(database: Database) -> None:
    async with database.statement() as connection:
        assert await statuses.latest(connection, "none") is None


async def test_rows_are_listed_newest_first_and_by_status(
    database: Database, workflow_id: str
) -> None:
    ids = [f"{workflow_id}-{n}" for n in range(3)]
    for name, status in zip(ids, ("cancelled", "running", "cancelled"), strict=True):
        await save(database, name, StatusRow.model_validate({"status": status}))

    async with database.statement() as connection:
        everything = await statuses.list_rows(connection)
        cancelled = await statuses.list_rows(connection, status="cancelled")
        limited = await statuses.list_rows(connection, limit=1)
    assert [row.workflow_id for row in everything if row.workflow_id in ids] == ids[::-1]
    assert [row.workflow_id for row in cancelled if row.workflow_id in ids] == [ids[2], ids[0]]
    assert len(limited) == 1


async def test_a_reconciler_sees_the_rows_that_have_not_changed_for_a_while(
    database: Database, workflow_id: str
) -> None:
    await save(database, workflow_id, StatusRow(status="running"))
    await save(database, f"{workflow_id}-done", StatusRow(status="completed"))

    assert workflow_id in await open_ids(database, NOW)
    assert f"{workflow_id}-done" not in await open_ids(database, NOW)
    assert workflow_id not in await open_ids(database, timedelta(hours=1))


async def test_closing_ends_a_row_that_is_running_and_no_other(
    database: Database, workflow_id: str
) -> None:
    await save(database, workflow_id, StatusRow(status="running", step="step1"))
    closed = [await close(database, workflow_id, status) for status in ("terminated", "failed")]

    row = await latest(database, workflow_id)
    assert closed == [True, False]
    assert (row.status, row.step, row.error) == ("terminated", "step1", "gone")
    assert not await close(database, "none", "failed")


async def test_first_writes_at_once_leave_one_row(database: Database, workflow_id: str) -> None:
    row = StatusRow(status="running")
    await asyncio.gather(*(save(database, workflow_id, row) for _ in range(5)))

    assert (await open_ids(database, NOW)).count(workflow_id) == 1
