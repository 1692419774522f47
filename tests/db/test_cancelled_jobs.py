"""A job that has not begun is cancelled at once, one that runs by its lane, and no other."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from durable_agents.db import cancelled_jobs, claims
from durable_agents.db.engine import Database
from durable_agents.models.errors import NotFoundError
from durable_agents.models.jobs import JobRun
from durable_agents.models.work_pool import ClaimInput
from tests.db.pooling import Lane, enqueue, find, job, new_pool, pool_name
from tests.workflows.runs import until


async def test_a_job_that_has_not_begun_is_cancelled_at_once(database: Database) -> None:
    pool = await new_pool(database)
    later = datetime.now(UTC) + timedelta(hours=1)
    ids = await enqueue(database, pool, [job(), job(not_before=later)])

    async with database.statement() as connection:
        ended = [await cancelled_jobs.cancel(connection, pool, job_id) for job_id in ids]

    assert ended == [("cancelled", -1), ("cancelled", -1)]
    assert (await find(database, ids[0])).finished_at is not None
    assert await (await Lane(database, pool).begin()).drain() == []


async def test_a_job_that_has_ended_stays_as_it_is_when_cancelled(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    await (await Lane(database, pool).begin()).drain()

    async with database.statement() as connection:
        assert await cancelled_jobs.cancel(connection, pool, ids[0]) == ("done", -1)


async def test_cancelling_all_leaves_to_the_lanes_what_runs(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job() for _ in range(5)])
    held = await (await Lane(database, pool).begin()).claim()

    async with database.transaction() as connection:
        waiting, running = await cancelled_jobs.cancel_all(connection, pool)

    assert waiting == 4
    assert [(lane, run.job_id) for lane, run in running] == [(0, held.job_id)]
    assert [(await find(database, i)).status for i in ids] == ["running", *["cancelled"] * 4]


async def test_cancelling_all_misses_no_job_that_is_just_being_begun(database: Database) -> None:
    pool = await new_pool(database)
    lane = await Lane(database, pool).begin()
    ids = await enqueue(database, pool, [job()])

    async def cancel_all() -> tuple[int, list[tuple[int, JobRun]]]:
        async with database.transaction() as connection:
            await connection.execute(text("SET LOCAL application_name = 'cancels-all'"))
            return await cancelled_jobs.cancel_all(connection, pool)

    async with database.transaction() as connection:
        request = ClaimInput(pool=pool, lane=0, claim="run/1", turn=lane.turn)
        await claims.claim(connection, request)  # and its commit is yet to come
        cancelling = asyncio.ensure_future(cancel_all())
        await until_waiting(database, "cancels-all")

    assert await cancelling == (0, [(0, JobRun(job_id=ids[0], fence=1))])


async def until_waiting(database: Database, name: str) -> None:
    """Wait until somebody waits for a lock."""
    waits = text(
        "SELECT FROM pg_stat_activity WHERE application_name = :name AND wait_event_type = 'Lock'"
    )

    async def there() -> bool:
        async with database.statement() as connection:
            return (await connection.execute(waits, {"name": name})).first() is not None

    await until(there, f"{name} waits for a lock", within=4)


async def test_a_job_of_another_pool_is_not_cancelled(database: Database) -> None:
    pool, other = await new_pool(database), await new_pool(database)
    ids = await enqueue(database, pool, [job()])

    async with database.statement() as connection:
        with pytest.raises(NotFoundError, match=f"Pool {other} has no job {ids[0]}"):
            await cancelled_jobs.cancel(connection, other, ids[0])
        with pytest.raises(NotFoundError, match="There is no pool"):
            await cancelled_jobs.cancel(connection, pool_name(), ids[0])
