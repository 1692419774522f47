"""How things stand, for the metrics."""

import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from durable_agents.db import pools, standing
from durable_agents.db.engine import Database
from durable_agents.db.standing import OTHERS, PoolStanding, Standing, Waiting, pools_sql
from durable_agents.models.errors import DatabaseUnavailableError
from tests.db.databases import migrated_database
from tests.db.pooling import enqueue, job, new_pool
from tests.workflows import runs


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """One in which no other test leaves jobs, of which there could be more than here."""
    async with migrated_database(database_url) as alone:
        yield alone


def pool_in(now: Standing, pool: str) -> PoolStanding:
    return next(one for one in now.pools if one.pool == pool)


async def test_the_open_jobs_of_a_pool_are_counted_by_status(
    database: Database,
) -> None:
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
    database: Database,
) -> None:
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


async def test_what_came_while_it_was_asked_has_waited_no_less_than_not_at_all(
    database: Database,
) -> None:
    pool, word = await new_pool(database), runs.token()
    await enqueue(database, pool, [job()])
    async with database.statement() as connection:  # as if in a transaction that began after ours
        await connection.execute(
            text("UPDATE jobs SET enqueued_at = now() + interval '1 min' WHERE pool = :pool"),
            {"pool": pool},
        )
        await connection.execute(
            text(
                "INSERT INTO approval_requests (workflow_id, run_id, step, digest, kind, subject,"
                " title, status, created_at) VALUES (:word, :word, 's', 'd', :word, 's', 't',"
                " 'pending', now() + interval '1 min')"
            ),
            {"word": word},
        )

    now = await standing.standing(database)
    async with database.statement() as connection:
        forget = text("DELETE FROM approval_requests WHERE run_id = :word")
        await connection.execute(forget, {"word": word})

    assert now.approvals[word] == Waiting(1, 0.0)
    assert pool_in(now, pool).oldest_s == 0


async def test_open_jobs_are_counted_without_reading_their_rows(database: Database) -> None:
    async with database.transaction() as connection:
        for way in ("seqscan", "bitmapscan"):  # which PostgreSQL takes while tables are small
            await connection.execute(text(f"SET LOCAL enable_{way} = off"))
        plan = "\n".join(await connection.scalars(text(f"EXPLAIN {pools_sql(most=1)}")))

    read = re.findall(r"(\w+(?: \w+)* Scan|\w+) (?:using|on) (jobs\w*)", plan)

    assert read == [
        *(("Index Only Scan", f"jobs_{status}") for status in ("queued", "delayed", "running")),
        ("Index Scan", "jobs_pkey"),  # of one row for each pool
    ]


async def test_refunds_that_are_not_settled_are_counted_and_timed(database: Database) -> None:
    before = await standing.standing(database)
    word = runs.token()
    async with database.statement() as connection:
        for generation in (1, 2):
            await connection.execute(
                text(
                    "INSERT INTO refunds (order_id, generation, namespace, workflow_id, run_id,"
                    " began_at, settled_at) VALUES (:word, :generation, 'n', :word, :word,"
                    " now() - interval '1 day', CASE WHEN :generation = 2 THEN now() END)"
                ),
                {"word": word, "generation": generation},
            )

    now = await standing.standing(database)
    async with database.statement() as connection:
        await connection.execute(text("DELETE FROM refunds WHERE order_id = :word"), {"word": word})

    assert now.refunds.count == before.refunds.count + 1
    assert now.refunds.oldest_s >= 86_400


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
