"""Lanes go to sleep when there is nothing to do, and no job is left behind."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from durable_agents.db import lanes, pools
from durable_agents.db.engine import Database
from durable_agents.db.lanes import Sleep
from durable_agents.models.errors import ConfigurationError
from tests.db.pooling import Lane, enqueue, find, job, lanes_of, make_due, new_pool, sleep, wake

IN_A_MINUTE = timedelta(minutes=1)


async def later(database: Database, pool: str, delay: timedelta = IN_A_MINUTE) -> list[int]:
    return await enqueue(database, pool, [job(not_before=datetime.now(UTC) + delay)])


async def test_as_many_lanes_are_woken_as_there_are_jobs(database: Database) -> None:
    pool = await new_pool(database, max_parallelism=5)
    await enqueue(database, pool, [job() for _ in range(3)])

    first = await wake(database, pool)
    again = await wake(database, pool)
    await enqueue(database, pool, [job() for _ in range(10)])
    more = await wake(database, pool)

    assert (first, again, more) == ([0, 1, 2], [], [3, 4])


async def test_lanes_that_are_busy_do_not_count_for_what_is_queued(database: Database) -> None:
    pool = await new_pool(database, max_parallelism=5)
    await enqueue(database, pool, [job()])
    await (await Lane(database, pool, 0).begin()).claim()

    await enqueue(database, pool, [job()])

    assert await wake(database, pool) == [1]


async def test_nothing_to_do_wakes_nobody_and_lets_a_lane_end(database: Database) -> None:
    pool = await new_pool(database)
    await Lane(database, pool).begin()

    assert await wake(database, pool) == []
    assert await sleep(database, pool) == Sleep(is_over=True)


async def test_a_lane_does_not_sleep_while_something_is_queued(database: Database) -> None:
    pool = await new_pool(database)
    await Lane(database, pool).begin()
    await enqueue(database, pool, [job()])

    assert await sleep(database, pool) == Sleep()


async def test_a_job_that_comes_while_the_lane_goes_to_sleep_is_not_left_behind(
    database: Database,
) -> None:
    pool = await new_pool(database, max_parallelism=1)

    async def put_in() -> list[int]:
        await enqueue(database, pool, [job()])
        return await wake(database, pool)

    for _ in range(25):
        lane = await Lane(database, pool).begin()
        rest, woken = await asyncio.gather(sleep(database, pool), put_in())
        assert (rest == Sleep()) or woken == [0]
        await lane.drain()


async def test_one_lane_waits_for_delayed_jobs_and_the_others_end(database: Database) -> None:
    pool = await new_pool(database)
    await lanes_of(database, pool, 3)
    await later(database, pool)

    rests = [await sleep(database, pool, lane) for lane in range(3)]

    assert 50 < rests[0].wait_s <= 60
    assert rests[1:] == [Sleep(is_over=True)] * 2


async def test_a_delayed_job_that_is_due_sooner_wakes_the_lane_that_waits(
    database: Database,
) -> None:
    pool = await new_pool(database)
    await Lane(database, pool).begin()
    await later(database, pool)
    await sleep(database, pool)

    await later(database, pool, timedelta(minutes=2))
    none = await wake(database, pool)
    await later(database, pool, timedelta(seconds=10))
    woken = await wake(database, pool)

    assert (none, woken) == ([], [0])
    assert (await sleep(database, pool)).wait_s <= 10


async def test_a_delayed_job_alone_wakes_one_lane(database: Database) -> None:
    pool = await new_pool(database)
    await later(database, pool)

    assert await wake(database, pool) == [0]


async def test_a_paused_pool_wakes_nobody_and_sleeps_whatever_is_queued(
    database: Database,
) -> None:
    pool = await new_pool(database)
    await Lane(database, pool).begin()
    await enqueue(database, pool, [job() for _ in range(3)])
    await later(database, pool)
    async with database.statement() as connection:
        await pools.configure(connection, pool, is_paused=True)

    assert await wake(database, pool) == []
    assert await sleep(database, pool) == Sleep(is_over=True)
    async with database.statement() as connection:
        await pools.configure(connection, pool, is_paused=False)
    assert await wake(database, pool) == [0, 1, 2]


async def test_a_pool_of_no_lanes_wakes_nobody_for_delayed_jobs(database: Database) -> None:
    pool = await new_pool(database, max_parallelism=0)
    await later(database, pool)

    assert await wake(database, pool) == []


async def test_a_first_step_that_comes_late_changes_nothing(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job()])
    overtaken = now_us()
    lane = Lane(database, pool)
    lane.turn = overtaken + 1
    held = (await (await lane.begin()).claimed(turn=lane.turn)).job
    assert held is not None

    async with database.transaction() as connection:
        began = await lanes.begin(connection, pool=pool, lane=0, turn=overtaken)

    assert not began
    assert (await find(database, held.job_id)).status == "running"


async def test_a_lane_begins_again_after_its_clock_was_set_back(database: Database) -> None:
    pool = await new_pool(database)
    lane = Lane(database, pool)
    lane.turn = now_us() + 3600 * 1_000_000
    await lane.begin()

    async with database.transaction() as connection:
        assert await lanes.begin(connection, pool=pool, lane=0, turn=now_us())


def now_us() -> int:
    return time.time_ns() // 1000


async def test_a_lane_too_many_ends(database: Database) -> None:
    pool = await new_pool(database, max_parallelism=2)
    await enqueue(database, pool, [job() for _ in range(5)])
    await Lane(database, pool, 2).begin()

    assert await sleep(database, pool, 2) == Sleep(is_over=True)
    assert await wake(database, pool) == [0, 1]


async def test_a_lane_that_is_called_awake_and_asks_for_nothing_is_stuck(
    database: Database,
) -> None:
    pool = await new_pool(database)
    await lanes_of(database, pool, 3)
    await enqueue(database, pool, [job()])
    await (await Lane(database, pool, 1).begin()).claim()
    past = text("UPDATE pool_lanes SET changed_at = now() - interval '1 hour' WHERE pool = :pool")
    async with database.statement() as connection:
        fresh = await lanes.stuck_lanes(connection, pool)
        await connection.execute(past, {"pool": pool})

        assert fresh == []
        assert await lanes.stuck_lanes(connection, pool) == [0, 2]


async def test_pools_with_work_are_those_with_jobs_to_run(database: Database) -> None:
    idle, queued, delayed = [await new_pool(database) for _ in range(3)]
    await enqueue(database, queued, [job()])
    await later(database, delayed)
    await make_due(database, delayed)

    async with database.statement() as connection:
        assert idle not in await pools.pools_with_work(connection, "there")
    assert await wake(database, queued, "there") == [0]
    async with database.statement() as connection:
        found = await pools.pools_with_work(connection, "there")
        elsewhere = await pools.pools_with_work(connection, "elsewhere")

    assert {queued, delayed} <= set(found)
    assert idle not in found
    assert delayed in elsewhere
    assert queued not in elsewhere


async def test_a_pool_works_in_one_namespace(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job(), job()])

    first = await wake(database, pool, "one")

    assert first == [0, 1]
    with pytest.raises(
        ConfigurationError, match=f"Pool {pool} works in the Temporal namespace one"
    ):
        await wake(database, pool, "two")
