"""How things stand, for the metrics."""

import pytest
from sqlalchemy import text

from durable_agents.db import pools, standing
from durable_agents.db.engine import Database
from durable_agents.db.standing import OTHERS, PoolStanding, Standing, Waiting, pools_sql
from durable_agents.models.errors import DatabaseUnavailableError
from tests.db.pooling import enqueue, job, new_pool
from tests.workflows import runs

ALL = text(pools_sql(most=1_000_000))


def pool_in(now: Standing, pool: str) -> PoolStanding:
    return next(one for one in now.pools if one.pool == pool)


async def test_the_open_jobs_of_a_pool_are_counted_by_status(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_POOLS", ALL)
    pool = await new_pool(database, max_parallelism=3)
    numbers = await enqueue(database, pool, [job(), job(), job(), job()])
    async with database.statement() as connection:
        for number, status in zip(numbers, ("running", "delayed", "done"), strict=False):
            await connection.execute(
                text(
                    "UPDATE jobs SET status = :status, claim = :status || job_id WHERE job_id = :id"
                ),
                {"status": status, "id": number},
            )
        await connection.execute(
            text("UPDATE jobs SET enqueued_at = now() - interval '90 s' WHERE pool = :pool"),
            {"pool": pool},
        )

    now = pool_in(await standing.standing(database), pool)

    assert (now.queued, now.delayed, now.running, now.parallel) == (1, 1, 1, 3)
    assert now.oldest_s >= 90


async def test_a_pool_that_is_paused_may_run_none_and_one_without_jobs_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_POOLS", ALL)
    pool = await new_pool(database)
    async with database.statement() as connection:
        await pools.configure(connection, pool, is_paused=True)

    now = pool_in(await standing.standing(database), pool)

    assert now == PoolStanding(pool, 0, 0, 0, 0.0, 0)


async def test_of_many_pools_those_with_the_most_jobs_are_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_POOLS", text(pools_sql(most=1)))
    busy, idle = await new_pool(database), await new_pool(database)
    await enqueue(database, busy, [job() for _ in range(500)])
    await enqueue(database, idle, [job()])

    now = await standing.standing(database)
    async with database.statement() as connection:
        await connection.execute(text("DELETE FROM pools WHERE pool = :pool"), {"pool": busy})

    assert {one.pool for one in now.pools} == {busy, OTHERS}
    assert pool_in(now, OTHERS).queued >= 1


async def test_requests_and_notifications_that_wait_are_counted(database: Database) -> None:
    before = await standing.standing(database)
    word = runs.token()
    async with database.statement() as connection:
        for status in ("pending", "approved"):
            await connection.execute(
                text(
                    "INSERT INTO approval_requests (workflow_id, run_id, step, digest, kind,"
                    " subject, title, status, created_at)"
                    " VALUES (:word, :word, 's', :status, 'tool', 's', 't', :status,"
                    " now() - interval '1 day')"
                ),
                {"word": word, "status": status},
            )
        await connection.execute(
            text(
                "INSERT INTO notifications (key, user_id, title, body, status, run_id)"
                " VALUES (:word, 'u', 't', 'b', 'uncertain', :word)"
            ),
            {"word": word},
        )

    now = await standing.standing(database)
    async with database.statement() as connection:
        for statement in (
            "DELETE FROM approval_requests WHERE run_id = :word",
            "DELETE FROM notifications WHERE key = :word",
        ):
            await connection.execute(text(statement), {"word": word})

    assert now.approvals["tool"].count == before.approvals.get("tool", Waiting()).count + 1
    assert now.approvals["tool"].oldest_s >= 86_400
    assert now.notifications_uncertain == before.notifications_uncertain + 1


async def test_a_database_that_takes_too_long_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_TIMEOUT", text("SET LOCAL statement_timeout = 50"))
    monkeypatch.setattr(standing, "_UNCERTAIN", text("SELECT 1 FROM pg_sleep(60)"))

    with pytest.raises(DatabaseUnavailableError):
        await standing.standing(database)
