"""Which job comes next: in order, by tenant, by priority and by time."""

import asyncio
from datetime import UTC, datetime, timedelta

from durable_agents.db.engine import Database
from tests.db.pooling import Lane, enqueue, job, lanes_of, make_due, new_pool, promote


async def test_jobs_are_claimed_in_the_order_in_which_they_came(database: Database) -> None:
    pool = await new_pool(database)

    ids = await enqueue(database, pool, [job() for _ in range(5)])

    assert await (await Lane(database, pool).begin()).drain() == ids


async def test_a_small_tenant_behind_a_large_one_is_done_in_the_first_tenth(
    database: Database,
) -> None:
    pool = await new_pool(database, max_parallelism=20)
    await enqueue(database, pool, [job(tenant="large") for _ in range(2000)])
    begun = await lanes_of(database, pool, 20)
    held = [await lane.claim() for lane in begun]

    small = set(await enqueue(database, pool, [job(tenant="small") for _ in range(20)]))
    order = [*(h.job_id for h in held), *await begun[0].drain()]

    places = [place for place, job_id in enumerate(order, 1) if job_id in small]
    assert len(order) == 2020
    assert len(places) == 20
    assert places[-1] <= 202


async def test_tenants_take_turns_by_their_weight(database: Database) -> None:
    pool = await new_pool(database)
    light = await enqueue(database, pool, [job(tenant="light") for _ in range(40)])
    await enqueue(database, pool, [job(tenant="heavy", weight=3) for _ in range(40)])

    order = await (await Lane(database, pool).begin()).drain()

    assert 8 <= sum(job_id in light for job_id in order[:40]) <= 12


async def test_a_tenant_that_was_away_has_saved_nothing_up(database: Database) -> None:
    pool = await new_pool(database)
    lane = await Lane(database, pool).begin()
    await enqueue(database, pool, [job(tenant="busy") for _ in range(50)])
    await lane.drain()

    first = await enqueue(database, pool, [job(tenant="away") for _ in range(10)])
    second = await enqueue(database, pool, [job(tenant="busy") for _ in range(10)])
    order = await lane.drain()

    assert abs(sum(job_id in first for job_id in order[:10]) - 5) <= 1
    assert sorted(order) == [*first, *second]


async def test_a_lower_priority_number_goes_first(database: Database) -> None:
    pool = await new_pool(database)
    last, middle, first = [
        (await enqueue(database, pool, [job(priority=priority)]))[0] for priority in (5, 3, 1)
    ]

    assert await (await Lane(database, pool).begin()).drain() == [first, middle, last]


async def test_a_job_is_not_begun_before_its_time(database: Database) -> None:
    pool = await new_pool(database)
    lane = await Lane(database, pool).begin()
    later = datetime.now(UTC) + timedelta(hours=1)
    ids = await enqueue(database, pool, [job(not_before=later)])

    early = await lane.claimed()
    none = await promote(database, pool)
    await make_due(database, pool)
    due = await lane.claimed()
    one = await promote(database, pool)

    assert (early.job, early.is_due, none) == (None, False, 0)
    assert (due.job, due.is_due, one) == (None, True, 1)
    assert await lane.drain() == ids


async def test_a_time_that_has_passed_delays_nothing(database: Database) -> None:
    pool = await new_pool(database)

    ids = await enqueue(database, pool, [job(not_before=datetime.now(UTC))])

    assert await (await Lane(database, pool).begin()).drain() == ids


async def test_jobs_that_are_promoted_at_once_share_with_other_tenants(database: Database) -> None:
    pool = await new_pool(database)
    later = datetime.now(UTC) + timedelta(hours=1)
    delayed = await enqueue(
        database, pool, [job(tenant="late", not_before=later) for _ in range(30)]
    )
    await enqueue(database, pool, [job(tenant="other") for _ in range(30)])
    await make_due(database, pool)

    promoted = await asyncio.gather(*(promote(database, pool) for _ in range(3)))
    order = await (await Lane(database, pool).begin()).drain()

    assert sum(promoted) == 30
    assert 8 <= sum(job_id in delayed for job_id in order[:20]) <= 12
