"""Finished jobs are put away in time, and those of a batch together."""

import secrets

import pytest
from sqlalchemy import text

from durable_agents.db import batches, job_retention, jobs, pools
from durable_agents.db.engine import Database
from durable_agents.models.jobs import OnComplete
from tests.db.pooling import Lane, enqueue, job, new_pool

DAY = 86_400


async def pool_that_keeps(database: Database, seconds: int) -> str:
    pool = await new_pool(database)
    async with database.statement() as connection:
        await pools.configure(connection, pool, retention_s=seconds)
    return pool


async def a_batch(database: Database, pool: str, *, sealed: bool, count: int = 2) -> str:
    """A batch with jobs."""
    batch = f"batch-{secrets.token_hex(4)}"
    told = OnComplete(workflow_id="w", signal="s")
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool, on_complete=told)
        await jobs.enqueue(connection, pool, [job() for _ in range(count)], batch=batch)
        if sealed:
            await batches.seal(connection, batch)
    return batch


async def purge(database: Database) -> None:
    async with database.statement() as connection:
        await job_retention.purge(connection)


async def change(database: Database, statement: str, batch: str, days: float = 0) -> None:
    async with database.statement() as connection:
        await connection.execute(text(statement), {"batch": batch, "seconds": days * DAY})


async def left_of(database: Database, batch: str) -> int:
    async with database.statement() as connection:
        return sum((await batches.counts(connection, batch)).values())


OLDER = "UPDATE {} = {} - make_interval(secs => :seconds) WHERE batch = :batch"
FINISHED_OLDER = OLDER.format("jobs SET finished_at", "finished_at")
CREATED_OLDER = OLDER.format("job_batches SET created_at", "created_at")
TOLD = "UPDATE job_batches SET tell_at = NULL, told_at = now() WHERE batch = :batch"


async def test_jobs_of_a_batch_that_still_runs_are_kept(database: Database) -> None:
    pool = await pool_that_keeps(database, 0)
    batch = await a_batch(database, pool, sealed=True, count=3)
    lane = await Lane(database, pool).begin()
    await lane.finish(await lane.claim())
    held = await lane.claim()
    alone = await enqueue(database, pool, [job(priority=1)])
    await lane.finish(await lane.claim())

    await purge(database)

    assert await left_of(database, batch) == 3
    await lane.finish(held)
    async with database.statement() as connection:
        assert {row.job_id for row in await jobs.list_jobs(connection, pool)}.isdisjoint(alone)


async def test_jobs_of_a_batch_that_is_being_filled_are_kept_but_not_for_ever(
    database: Database,
) -> None:
    pool = await pool_that_keeps(database, 0)
    batch = await a_batch(database, pool, sealed=False)
    await (await Lane(database, pool).begin()).drain()

    await purge(database)
    during = await left_of(database, batch)
    await change(database, CREATED_OLDER, batch, days=7.1)
    await purge(database)

    assert (during, await left_of(database, batch)) == (2, 0)


async def test_the_jobs_of_a_batch_go_together_when_its_last_one_was_kept_long_enough(
    database: Database,
) -> None:
    pool = await pool_that_keeps(database, DAY)
    batch = await a_batch(database, pool, sealed=True)
    lane = await Lane(database, pool).begin()
    await lane.finish(await lane.claim())
    await change(database, FINISHED_OLDER, batch, days=2)
    await lane.finish(await lane.claim())
    await change(database, CREATED_OLDER, batch, days=2)

    await purge(database)
    after_the_last = await left_of(database, batch)
    await change(database, FINISHED_OLDER, batch, days=2)
    await purge(database)

    assert (after_the_last, await left_of(database, batch)) == (2, 0)
    async with database.statement() as connection:
        query = text("SELECT count(*) FROM job_batches WHERE batch = :batch")
        assert await connection.scalar(query, {"batch": batch}) == 0


@pytest.mark.parametrize("told", [True, False])
async def test_a_batch_whose_end_is_still_to_be_told_is_kept(
    database: Database, told: bool
) -> None:
    pool = await pool_that_keeps(database, 0)
    batch = await a_batch(database, pool, sealed=True)
    await (await Lane(database, pool).begin()).drain()
    async with database.statement() as connection:
        await batches.note_all_complete(connection, pool)
    if told:
        await change(database, TOLD, batch)

    await purge(database)

    assert await left_of(database, batch) == (0 if told else 2)


async def test_finished_jobs_are_put_away_when_their_time_is_over(database: Database) -> None:
    pool, kept = await pool_that_keeps(database, 0), await new_pool(database)
    for name in (pool, kept):
        await enqueue(database, name, [job(), job(priority=5)])
        lane = await Lane(database, name).begin()
        await lane.finish(await lane.claim())

    async with database.statement() as connection:
        await job_retention.purge(connection)
        after = [(await pools.status(connection, name)).counts for name in (pool, kept)]

    assert after == [{"queued": 1}, {"done": 1, "queued": 1}]


async def test_a_job_whose_end_is_still_to_be_told_is_kept(database: Database) -> None:
    pool = await pool_that_keeps(database, 0)
    told = OnComplete(workflow_id="w", signal="s")
    await enqueue(database, pool, [job(on_complete=told)])
    await (await Lane(database, pool).begin()).drain()

    async with database.statement() as connection:
        await job_retention.purge(connection)
        assert (await pools.status(connection, pool)).counts == {"done": 1}
