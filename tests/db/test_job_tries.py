"""A job that fails, or is lost with its worker, is tried again later, until its last try."""

from datetime import UTC, datetime

from sqlalchemy import text

from durable_agents.db import cancelled_jobs, jobs, reports
from durable_agents.db.engine import Database
from durable_agents.models.jobs import JobRetry
from tests.db.pooling import Lane, enqueue, find, job, make_due, new_pool, promote


async def test_a_failure_is_tried_again_later_until_the_last(database: Database) -> None:
    pool = await new_pool(database)
    new = job(retry=JobRetry(attempts=2, initial_s=50, max_s=100))
    ids = await enqueue(database, pool, [new])
    lane = await Lane(database, pool).begin()

    held = await lane.claim()
    await lane.fail(held, error_type="ServiceUnavailableError", error="Away.")
    first = await find(database, ids[0])
    await lane.fail(held)  # it is told twice
    async with database.transaction() as connection:
        await connection.execute(
            text("UPDATE jobs SET not_before = now() WHERE job_id = :id"), {"id": ids[0]}
        )
        await jobs.promote(connection, pool)
    await lane.fail(await lane.claim(), error_type="ServiceUnavailableError", error="Away.")
    last = await find(database, ids[0])

    assert (first.status, first.failures, first.error) == ("delayed", 1, "Away.")
    assert first.not_before is not None
    assert (first.not_before - datetime.now(UTC)).total_seconds() <= 50
    assert (last.status, last.failures, last.error) == ("failed", 2, "Away.")


async def test_a_final_failure_ends_a_job(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    lane = await Lane(database, pool).begin()

    await lane.fail(await lane.claim(), is_final=True, error_type="InputError", error="No.")

    assert (await find(database, ids[0])).status == "failed"


async def test_the_first_time_that_a_worker_is_lost_a_job_waits_for_nothing(
    database: Database,
) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job(retry=JobRetry(attempts=5)), job()])
    lane = await Lane(database, pool).begin()

    await lane.fail(await lane.claim(), at_once=True)
    again = await lane.claim()
    await lane.fail(again, at_once=True)

    assert again.job_id == ids[0]
    assert (await find(database, ids[0])).status == "delayed"


async def test_a_try_that_was_lost_with_its_worker_uses_up_none(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job(retry=JobRetry(attempts=1))])
    lane = await Lane(database, pool).begin()

    for _ in range(3):
        await lane.fail(await lane.claim(), error_type="TimeoutError", at_once=True, is_lost=True)
        await make_due(database, pool)
        await promote(database, pool)
    during = await find(database, ids[0])
    await lane.finish(await lane.claim())

    assert (during.status, during.failures) == ("queued", 0)
    assert (await find(database, ids[0])).status == "done"


async def test_a_job_that_is_lost_again_and_again_has_failed(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job(retry=JobRetry(attempts=3))])
    lane = await Lane(database, pool).begin()

    await lane.fail(await lane.claim(), error="Away.")
    stands: list[str] = []
    for _ in range(reports.MOST_LOST):
        await make_due(database, pool)
        await promote(database, pool)
        await lane.fail(await lane.claim(), error="No heartbeat.", at_once=True, is_lost=True)
        stands.append((await find(database, ids[0])).status)

    found = await find(database, ids[0])
    assert stands == ["queued", "delayed", "delayed", "delayed", "failed"]
    assert (found.failures, found.error_type) == (1, "PoisonJobError")
    assert found.error.startswith("The job was handed out 5 times and came to nothing")
    assert found.error.endswith("The last time: No heartbeat.")


async def test_a_job_that_meets_outages_again_and_again_says_what_was_away(
    database: Database,
) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    lane, kind = await Lane(database, pool).begin(), "DatabaseUnavailableError"

    for _ in range(reports.MOST_LOST):
        await make_due(database, pool)
        await promote(database, pool)
        await lane.fail(await lane.claim(), error_type=kind, error="Away.", is_lost=True)

    found = await find(database, ids[0])
    assert (found.status, found.error_type, found.error) == ("failed", kind, "Away.")


async def test_the_delay_that_a_server_named_is_kept(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    lane = await Lane(database, pool).begin()

    await lane.fail(await lane.claim(), retry_after_s=1000)

    found = await find(database, ids[0])
    assert found.not_before is not None
    assert 990 < (found.not_before - datetime.now(UTC)).total_seconds() <= 1100


def test_waits_are_spread_over_the_whole_interval_and_grow() -> None:
    retry = JobRetry(attempts=1000, initial_s=1, backoff=2, max_s=60)

    waits = {n: [reports.wait_before(retry, n, None) for _ in range(400)] for n in (1, 3, 999)}

    for failures, longest in ((1, 1), (3, 4), (999, 60)):
        assert 0 <= min(waits[failures]) < longest * 0.1
        assert longest * 0.9 < max(waits[failures]) <= longest


async def test_a_cancelled_job_that_fails_is_not_tried_again(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    lane = await Lane(database, pool).begin()
    held = await lane.claim()
    async with database.statement() as connection:
        assert await cancelled_jobs.cancel(connection, pool, ids[0]) == ("running", 0)

    await lane.fail(held, error_type="ServiceUnavailableError")

    assert (await find(database, ids[0])).status == "cancelled"
