"""A job is handed out once, and only who holds it writes."""

import asyncio

import pytest

from durable_agents.db import claims, pools, reports
from durable_agents.db.engine import Database
from durable_agents.models.errors import DatabaseUnavailableError, InputError, StaleJobError
from durable_agents.models.work_pool import LaneReport
from tests.db.pooling import Lane, enqueue, find, job, lanes_of, new_pool, run_of


async def test_many_lanes_at_once_are_handed_each_job_once(database: Database) -> None:
    pool = await new_pool(database, max_parallelism=10)
    ids = await enqueue(database, pool, [job() for _ in range(200)])

    taken = await asyncio.gather(*(lane.drain() for lane in await lanes_of(database, pool, 10)))

    assert sorted(job_id for one in taken for job_id in one) == ids


async def test_the_same_claim_gets_the_same_job(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job(), job()])
    lane = await Lane(database, pool).begin()

    first = await lane.claim("5")
    again = await lane.claim("5")

    assert (again.job_id, again.fence) == (first.job_id, first.fence)
    assert await lane.claim("6") != first


async def test_the_same_claim_at_once_gets_one_job(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job() for _ in range(5)])
    lane = await Lane(database, pool).begin()

    given = await asyncio.gather(*(lane.claimed("5", turn=10**9) for _ in range(6)))

    assert len({claimed.job.job_id for claimed in given if claimed.job}) == 1
    async with database.statement() as connection:
        assert (await pools.status(connection, pool)).counts == {"queued": 4, "running": 1}


async def test_a_step_that_was_overtaken_is_handed_nothing(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job(), job()])
    lane = await Lane(database, pool).begin()
    held = await lane.claimed("6", turn=10**9)

    late = await lane.claimed("5", turn=10**9 - 1)

    assert held.job is not None
    assert (late.job, late.is_current) == (None, False)


@pytest.mark.parametrize("change", [{"is_paused": True}, {"max_parallelism": 1}])
async def test_a_lane_that_should_not_run_is_handed_nothing(
    database: Database, change: dict[str, int]
) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    lane = await Lane(database, pool, 1).begin()
    async with database.statement() as connection:
        await pools.configure(connection, pool, **change)  # pyright: ignore[reportArgumentType]

    claimed = await lane.claimed()

    assert (claimed.job, claimed.is_current) == (None, True)


async def test_a_workflows_payload_comes_with_the_claim_and_no_other(database: Database) -> None:
    pool = await new_pool(database)
    new = [job(payload={"a": 1}), job(kind="workflow:DebugWorkflow", payload={"values": [1]})]
    await enqueue(database, pool, new)
    lane = await Lane(database, pool).begin()

    assert [(await lane.claim()).payload for _ in new] == [None, {"values": [1]}]


async def test_the_result_of_a_job_is_stored(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    lane = await Lane(database, pool, 3).begin()
    await lane.finish(await lane.claim())

    found = await find(database, ids[0])

    assert (found.status, found.result) == ("done", {"by": 3})
    assert found.started_at is not None
    assert found.finished_at is not None


async def test_a_result_that_is_too_large_is_refused(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    held = await (await Lane(database, pool).begin()).claim()

    async with database.statement() as connection:
        with pytest.raises(InputError, match="store what is large"):
            await claims.finish(connection, run_of(held), {"text": "x" * 300_000})


async def test_a_holder_that_was_overtaken_writes_nothing(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    frozen, other = await lanes_of(database, pool, 2)
    stale = await frozen.claim()
    await frozen.fail(stale, error_type="TimeoutError", at_once=True)
    held = await other.claim()

    assert (held.job_id, held.fence) == (stale.job_id, stale.fence + 1)
    with pytest.raises(StaleJobError, match=f"Job {stale.job_id} was handed to another"):
        await frozen.finish(stale)
    async with database.transaction() as connection:
        with pytest.raises(StaleJobError):
            await claims.load(connection, run_of(stale))
        with pytest.raises(StaleJobError):
            await claims.hold(connection, run_of(stale))
        await claims.hold(connection, run_of(held))
    await other.finish(held)
    with pytest.raises(StaleJobError):
        await other.finish(held)


async def test_nobody_takes_a_job_over_while_its_holder_writes(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    lane = await Lane(database, pool).begin()
    held = await lane.claim()

    async with database.transaction() as connection:
        await claims.hold(connection, run_of(held))
        failing = asyncio.ensure_future(lane.fail(held, error_type="TimeoutError"))
        await claims.finish(connection, run_of(held))
    await failing

    assert (await find(database, held.job_id)).status == "done"


async def test_a_holder_that_freezes_in_its_transaction_loses_it(
    database: Database, database_url: str
) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    lane = await Lane(database, pool).begin()
    held = await lane.claim()
    frozen = Database(database_url, idle_in_transaction_s=0.2)

    try:
        with pytest.raises(DatabaseUnavailableError, match="stood still"):  # noqa: PT012
            async with frozen.transaction() as connection:
                await claims.hold(connection, run_of(held))
                await lane.fail(held, at_once=True)  # it waits until the lock is gone
                await claims.finish(connection, run_of(held))
    finally:
        await frozen.close()

    assert (await find(database, held.job_id)).status == "queued"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_a_number_that_is_none_is_null_in_what_a_workflow_came_to(
    database: Database, number: float
) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    held = await (await Lane(database, pool).begin()).claim()
    result = {"mean": number, "said": "a\x00b", "all": [1, number]}

    async with database.transaction() as connection:
        report = LaneReport(job_id=ids[0], fence=held.fence, outcome="done", result=result)
        await reports.settle(connection, report)

    expected = {"mean": None, "said": "a\ufffdb", "all": [1, None]}
    assert (await find(database, ids[0])).result == expected


async def test_what_a_workflow_came_to_is_stored(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job(kind="workflow:X") for _ in range(2)])
    lane = await Lane(database, pool).begin()

    await lane.fail(await lane.claim(), outcome="done", result={"total": 3})
    await lane.fail(await lane.claim(), outcome="done", result="x" * 300_000)

    small, large = [await find(database, job_id) for job_id in ids]
    assert (small.status, small.result) == ("done", {"total": 3})
    assert (large.status, large.result) == ("done", None)
    assert "too large" in large.error


async def test_a_new_run_of_a_lane_puts_back_what_the_run_before_left(
    database: Database,
) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job()])
    gone, other = await lanes_of(database, pool, 2)
    stale = await gone.claim()

    fresh = await Lane(database, pool, 0).begin()
    held = await fresh.claim()

    assert (held.job_id, held.fence) == (ids[0], stale.fence + 1)
    with pytest.raises(StaleJobError):
        await gone.finish(stale)
    assert (await other.claimed()).job is None


async def test_a_report_of_nothing_known_changes_nothing(database: Database) -> None:
    async with database.transaction() as connection:
        report = LaneReport(job_id=10**12, fence=1, outcome="failed")

        assert await reports.settle(connection, report) is None


@pytest.mark.parametrize("is_paused", [False, True])
async def test_a_claim_whose_answer_was_lost_gets_its_job_although_there_is_no_other(
    database: Database, is_paused: bool
) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    lane = await Lane(database, pool).begin()
    first = await lane.claim("same")
    async with database.transaction() as connection:
        await pools.configure(connection, pool, is_paused=is_paused)

    again = await lane.claim("same")

    assert again == first
