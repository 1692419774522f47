"""Who waits for a job or for a batch is told once, when it is finished."""

import asyncio

from sqlalchemy import text

from durable_agents.db import batches, cancelled_jobs, jobs, pools
from durable_agents.db.engine import Database
from durable_agents.db.lanes import Sleep
from durable_agents.models.jobs import OnComplete
from tests.db.pooling import Lane, enqueue, job, lanes_of, new_pool, sleep, wake

TOLD = OnComplete(workflow_id="w", signal="s", context={"a": 1})


async def test_who_waits_for_a_job_is_told_once_it_is_finished(database: Database) -> None:
    pool = await new_pool(database)
    lane = await Lane(database, pool).begin()
    new = [job(on_complete=TOLD, key=str(n)) for n in range(3)]
    ids = await enqueue(database, pool, new)
    await lane.finish(await lane.claim())
    await lane.fail(await lane.claim(), is_final=True, error="No.")
    async with database.statement() as connection:
        await cancelled_jobs.cancel(connection, pool, ids[2])
        seen = await lane.claimed()

    async with database.transaction() as connection:
        told = await batches.take_tellings(connection, pool)
        again = await batches.take_tellings(connection, pool)

    assert seen.is_telling
    found = {t.completion.key: t for t in told}
    assert {k: t.completion.status for k, t in found.items()} == {
        "0": "done",
        "1": "failed",
        "2": "cancelled",
    }
    assert found["1"].completion.error == "No."
    assert found["0"].completion.context == {"a": 1}
    assert found["0"].to == OnComplete(workflow_id="w", signal="s")
    assert again == []


async def test_a_telling_that_got_lost_is_done_again_and_one_that_was_noted_is_not(
    database: Database,
) -> None:
    pool = await new_pool(database)
    lane = await Lane(database, pool).begin()
    ids = await enqueue(database, pool, [job(on_complete=TOLD), job(on_complete=TOLD)])
    await lane.drain()
    async with database.transaction() as connection:
        await batches.take_tellings(connection, pool)
        await batches.note_told(connection, jobs=(ids[0],), batches=())
    rest = await sleep(database, pool)
    past = text("UPDATE jobs SET tell_at = now() WHERE pool = :pool AND tell_at IS NOT NULL")
    async with database.statement() as connection:
        await connection.execute(past, {"pool": pool})

    assert await sleep(database, pool) == Sleep()
    async with database.transaction() as connection:
        told = await batches.take_tellings(connection, pool)

    assert rest == Sleep(is_over=True)
    assert [t.completion.job_id for t in told] == [ids[1]]


async def test_tellings_of_a_paused_pool_wake_one_lane(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job(on_complete=TOLD) for _ in range(3)])
    async with database.transaction() as connection:
        await pools.configure(connection, pool, is_paused=True)
        await cancelled_jobs.cancel_all(connection, pool)

    assert await wake(database, pool) == [0]


async def test_a_batch_is_complete_when_it_is_sealed_and_its_jobs_are_finished(
    database: Database,
) -> None:
    pool = await new_pool(database)
    lane = await Lane(database, pool).begin()
    batch = f"batch-{pool}"

    async def is_complete() -> bool:
        async with database.statement() as connection:
            return await batches.note_complete(connection, batch)

    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool, on_complete=TOLD)
    await enqueue(database, pool, [job(), job()], batch)
    held = await lane.claim()
    async with database.statement() as connection:
        await batches.seal(connection, batch)
    await lane.finish(held)
    early = await is_complete()
    await lane.fail(await lane.claim(), is_final=True)

    assert (early, await is_complete(), await is_complete()) == (False, True, False)
    async with database.transaction() as connection:
        told = await batches.take_tellings(connection, pool)
        await batches.note_told(connection, jobs=(), batches=(batch,))
    assert [t.completion.counts for t in told] == [{"done": 1, "failed": 1}]
    assert not await is_complete()


async def test_a_batch_of_the_last_two_jobs_at_once_is_told_once(database: Database) -> None:
    pool = await new_pool(database)
    begun = await lanes_of(database, pool, 5)
    batch = f"batch-{pool}"
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool, on_complete=TOLD)
        await jobs.enqueue(connection, pool, [job() for _ in range(5)], batch=batch)
        await batches.seal(connection, batch)
    held = [await lane.claim() for lane in begun]

    async def end(place: int) -> bool:
        await begun[place].finish(held[place])
        async with database.statement() as connection:
            return await batches.note_complete(connection, batch)

    assert sum(await asyncio.gather(*map(end, range(5)))) == 1
