"""What a process that was killed while it filled a batch has left, the next one takes up."""

import secrets

from sqlalchemy import text

from durable_agents.db import batches, fillings, jobs
from durable_agents.db.engine import Database
from tests.db.pooling import Lane, enqueue, job, new_pool

SAME = "the same documents"


async def filled(
    database: Database, pool: str, *names: str, fingerprint: str = SAME
) -> tuple[str, list[int]]:
    """A batch into which jobs were put, and then no more."""
    batch = f"documents/{secrets.token_hex(4)}"
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool, fingerprint=fingerprint)
    return batch, await put(database, pool, batch, *names)


async def put(database: Database, pool: str, batch: str, *names: str) -> list[int]:
    return await enqueue(database, pool, [job(key=f"{batch}/{name}") for name in names], batch)


async def names_of(database: Database, pool: str, batch: str) -> dict[str, int]:
    async with database.statement() as connection:
        rows = await jobs.list_jobs(connection, pool, batch=batch)
    return {str(row.key).removeprefix(f"{batch}/"): row.job_id for row in rows}


async def is_there(database: Database, batch: str) -> bool:
    async with database.statement() as connection:
        query = text("SELECT count(*) FROM job_batches WHERE batch = :batch")
        return bool(await connection.scalar(query, {"batch": batch}))


async def test_what_was_left_is_taken_up_and_each_job_is_there_once(database: Database) -> None:
    pool = await new_pool(database)
    left, (one, two) = await filled(database, pool, "a", "b")
    lane = await Lane(database, pool).begin()
    await lane.finish(await lane.claim())
    batch, _ = await filled(database, pool)

    taken_up = await fillings.take_up(database, batch)
    (three,) = await put(database, pool, batch, "a", "b", "c")

    assert taken_up == 2
    assert await names_of(database, pool, batch) == {"a": one, "b": two, "c": three}
    assert not await is_there(database, left)
    async with database.statement() as connection:
        assert await batches.counts(connection, batch) == {"done": 1, "queued": 2}


async def test_a_job_that_two_have_left_is_counted_once(database: Database) -> None:
    pool = await new_pool(database)
    _, ids = await filled(database, pool, "a", "b")
    _, more = await filled(database, pool, "b", "c")
    batch, _ = await filled(database, pool)

    taken_up = await fillings.take_up(database, batch)

    assert taken_up == 3
    found = await names_of(database, pool, batch)
    assert found == {"a": ids[0], "b": ids[1], "c": more[1]}


async def test_what_a_process_is_at_was_handed_on_is_other_or_old_is_left_alone(
    database: Database,
) -> None:
    pool, other_pool = await new_pool(database), await new_pool(database)
    at_work, _ = await filled(database, pool, "a")
    handed_on, _ = await filled(database, pool, "a")
    other, _ = await filled(database, pool, "a", fingerprint="others")
    elsewhere, _ = await filled(database, other_pool, "a")
    old, _ = await filled(database, pool, "a")
    batch, _ = await filled(database, pool)
    older = "UPDATE job_batches SET created_at = now() - interval '25 h' WHERE batch = :batch"

    async with database.statement() as holder, database.statement() as connection:
        await fillings.hold(holder, at_work)
        await fillings.hand_on(connection, handed_on)
        await connection.execute(text(older), {"batch": old})
        taken_up = await fillings.take_up(database, batch)
        await holder.invalidate()

    assert taken_up == 0
    for left in (at_work, handed_on, other, old):
        assert list(await names_of(database, pool, left)) == ["a"]
    assert list(await names_of(database, other_pool, elsewhere)) == ["a"]


async def test_more_than_one_transaction_takes_is_taken_up(database: Database) -> None:
    pool = await new_pool(database)
    await filled(database, pool, *(str(n) for n in range(fillings.MOVED_AT_ONCE + 1)))
    batch, _ = await filled(database, pool)

    assert await fillings.take_up(database, batch) == fillings.MOVED_AT_ONCE + 1
