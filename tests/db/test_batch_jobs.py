"""The jobs of a batch, as whoever made the batch looks at them."""

import pytest

from durable_agents.db import batch_jobs, batches
from durable_agents.db.engine import Database
from durable_agents.models.errors import NotFoundError
from durable_agents.models.jobs import OnComplete
from tests.db.pooling import Lane, enqueue, find, job, make_due, new_pool, promote


async def test_what_failed_or_was_cancelled_is_put_in_once_more_and_told_of_again(
    database: Database,
) -> None:
    pool = await new_pool(database)
    batch, told = f"batch-{pool}", OnComplete(workflow_id="w", signal="s")
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool, on_complete=told)
    failed, done, _ = await enqueue(database, pool, [job(), job(), job()], batch)
    lane = await Lane(database, pool).begin()
    await lane.fail(await lane.claim(), is_final=True, error_type="InputError", error="No.")
    await lane.finish(await lane.claim())
    async with database.transaction() as connection:
        await batch_jobs.cancel_batch(connection, batch)
        await batches.note_complete(connection, batch)
        await batches.note_told(connection, jobs=(), batches=(batch,))

    async with database.transaction() as connection:
        again = await batch_jobs.retry_failed(connection, batch, attempts=2)
    async with database.statement() as connection:
        during = await batches.counts(connection, batch)
    assert await promote(database, pool) == 2
    await lane.fail(await lane.claim(), error_type="ServiceUnavailableError", error="Away.")
    after_one = await find(database, failed)
    await make_due(database, pool)
    await promote(database, pool)
    await lane.drain()
    async with database.transaction() as connection:
        await batches.note_complete(connection, batch)
        tellings = await batches.take_tellings(connection, pool)

    assert again == 2
    assert during == {"done": 1, "delayed": 2}
    assert (after_one.status, after_one.failures, after_one.error) == ("delayed", 2, "Away.")
    assert (await find(database, done)).status == "done"
    assert [one.completion.counts for one in tellings] == [{"done": 3}]


async def test_nothing_that_failed_is_nothing_to_do(database: Database) -> None:
    pool = await new_pool(database)
    batch = f"batch-{pool}"
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool)
        again = await batch_jobs.retry_failed(connection, batch, attempts=2)

    assert again == 0


async def test_an_unknown_batch_is_told_of(database: Database) -> None:
    async with database.transaction() as connection:
        with pytest.raises(NotFoundError, match="There is no batch b-none"):
            await batch_jobs.retry_failed(connection, "b-none", attempts=2)
