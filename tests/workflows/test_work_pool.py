"""C2 with the real server and the real database: lanes run jobs, at most so many at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agents.db import jobs
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.models.jobs import JobRetry, NewJob
from durable_agents.models.work_pool import PoolLaneInput, PoolLaneResult
from tests.db.pooling import new_pool, pool_name
from tests.workflows import runs
from tests.workflows.pooled import counts_of, job_of, noop, until_asleep, until_counts, until_status

pytestmark = pytest.mark.usefixtures("worker")


async def test_jobs_are_run_and_then_the_lanes_end(client: Client, database: Database) -> None:
    pool = await new_pool(database, max_parallelism=3)

    ids = await lanes.submit(client, database, pool, [noop(about=f"{n}") for n in range(12)])

    await until_counts(database, pool, done=12)
    for lane in range(3):
        await until_asleep(client, pool, lane)
    found = [await job_of(database, job_id) for job_id in ids]
    assert {row.failures for row in found} == {0}


async def test_no_more_jobs_run_at_once_than_the_pool_allows(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=2)

    await lanes.submit(client, database, pool, [noop(0.05) for _ in range(10)])
    await until_counts(database, pool, done=10)

    handles = [client.get_workflow_handle(lanes.lane_id(pool, lane)) for lane in range(3)]
    spans = [span for handle in handles[:2] for span in await open_spans(handle)]
    assert len(spans) == 10
    assert most_at_once(spans) == 2
    with pytest.raises(RPCError):
        await handles[2].describe()


async def open_spans(handle: Any) -> list[tuple[datetime, datetime]]:
    """From when to when each activity of a run was open."""
    began: dict[int, datetime] = {}
    spans: list[tuple[datetime, datetime]] = []
    for event in await runs.events_of(handle):
        at = event.event_time.ToDatetime()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            began[event.event_id] = at
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            scheduled = event.activity_task_completed_event_attributes.scheduled_event_id
            spans.append((began.pop(scheduled), at))
    assert not began
    return spans


def most_at_once(spans: list[tuple[datetime, datetime]]) -> int:
    edges = sorted([(b, 1) for b, _ in spans] + [(e, -1) for _, e in spans])
    return max(sum(step for _, step in edges[: place + 1]) for place in range(len(edges)))


async def test_a_job_that_fails_is_tried_again_and_occupies_no_lane(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    retry = JobRetry(attempts=3, initial_s=0.5, max_s=0.5)

    failing, after = await lanes.submit(
        client, database, pool, [noop(failures=2, retry=retry), noop()]
    )

    done = await until_status(database, failing, "done")
    other = await job_of(database, after)
    assert done.failures == 2
    assert other.finished_at is not None
    assert done.finished_at is not None
    assert other.finished_at < done.finished_at


async def test_a_final_failure_and_one_too_many_end_a_job_with_the_reason(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database)
    once = JobRetry(attempts=1)

    final, last, misfit, unknown = await lanes.submit(
        client,
        database,
        pool,
        [
            noop(is_final=True),
            noop(failures=1, retry=once),
            NewJob(kind="noop", payload={"seconds": -1}),
            NewJob(kind="no_such_kind", retry=once),
        ],
    )

    found = [await until_status(database, i, "failed") for i in (final, last, misfit, unknown)]
    assert [row.error_type for row in found[:3]] == [
        "InputError",
        "ServiceUnavailableError",
        "InputError",
    ]
    assert "does not fit its kind noop" in found[2].error
    assert "no_such_kind" in found[3].error


async def test_a_job_that_takes_too_long_is_ended(client: Client, database: Database) -> None:
    pool = await new_pool(database)
    new = noop(60, timeout_s=0.2, retry=JobRetry(attempts=2))

    ids = await lanes.submit(client, database, pool, [new])

    failed = await until_status(database, ids[0], "failed")
    assert (failed.failures, failed.error_type) == (2, "TimeoutError")
    assert failed.error == "The job did not end within 0.2 s. Give it a longer timeout_s."


async def test_a_delayed_job_waits_in_one_lane(client: Client, database: Database) -> None:
    pool = await new_pool(database, max_parallelism=3)
    later = datetime.now(UTC) + timedelta(seconds=1)

    delayed, _ = await lanes.submit(client, database, pool, [noop(not_before=later), noop()])

    handle = client.get_workflow_handle(lanes.lane_id(pool, 0))
    await runs.until_step(handle, "wait for a delayed job")
    done = await until_status(database, delayed, "done")
    assert done.started_at is not None
    assert done.started_at >= later
    await until_asleep(client, pool)


async def test_delayed_jobs_that_become_due_together_run_in_several_lanes(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=4)
    later = datetime.now(UTC) + timedelta(seconds=0.6)

    await lanes.submit(client, database, pool, [noop(0.5, not_before=later) for _ in range(4)])

    await until_counts(database, pool, running=4)
    await until_counts(database, pool, done=4)


async def test_a_paused_pool_begins_nothing_and_goes_on_when_resumed(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    await lanes.submit(client, database, pool, [noop(0.3), noop(), noop()])
    await until_counts(database, pool, running=1, queued=2)

    await lanes.pause(client, database, pool)
    await until_asleep(client, pool)
    during = await counts_of(database, pool)
    await lanes.submit(client, database, pool, [noop()])
    await lanes.resume(client, database, pool)

    assert during == {"done": 1, "queued": 2}
    await until_counts(database, pool, done=4)


async def test_a_pool_grows_and_shrinks_while_it_works(client: Client, database: Database) -> None:
    pool = await new_pool(database, max_parallelism=1)
    ids = await lanes.submit(client, database, pool, [noop(60) for _ in range(6)])
    await until_counts(database, pool, running=1, queued=5)

    await lanes.resize(client, database, pool, 4)
    await until_counts(database, pool, running=4, queued=2)
    await lanes.resize(client, database, pool, 2)
    for job_id in ids[:4]:
        await lanes.cancel(client, database, pool, job_id)

    await until_counts(database, pool, cancelled=4, running=2)
    assert await lanes.cancel_all(client, database, pool) == (0, 2)
    await until_counts(database, pool, cancelled=6)


async def test_a_pool_is_asked_for_while_its_lane_continues_as_new(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    ids = await lanes.submit(client, database, pool, [noop() for _ in range(90)])

    while len(ids) < 120:  # a lane takes a hundred jobs, then continues as new
        if (await counts_of(database, pool)).get("queued", 0) < 2:
            ids += await lanes.submit(client, database, pool, [noop()])

    await until_counts(database, pool, done=len(ids))
    await until_asleep(client, pool)
    handle = client.get_workflow_handle(lanes.lane_id(pool, 0), result_type=PoolLaneResult)
    assert (await runs.result_of(handle)).jobs >= 100


async def test_a_small_tenant_is_not_stuck_behind_a_large_one(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=2)
    async with database.transaction() as connection:
        await jobs.enqueue(connection, pool, [noop(tenant="large") for _ in range(100)])
        small = await jobs.enqueue(connection, pool, [noop(tenant="small") for _ in range(5)])

    await lanes.wake(client, database, pool)
    await until_counts(database, pool, done=105)

    async with database.statement() as connection:
        listed = await jobs.list_jobs(connection, pool, limit=500)
    order = [row.job_id for row in sorted(listed, key=lambda row: str(row.finished_at))]
    assert max(order.index(job_id) for job_id in small) < 20


async def test_a_lane_of_no_pool_fails_and_says_so(client: Client) -> None:
    name = pool_name()

    handle = await runs.start(client, "PoolLaneWorkflow", PoolLaneInput(pool=name, lane=0))

    kind, message = await runs.failure_of(handle)
    assert kind == "NotFoundError"
    assert message.startswith(f"There is no pool {name}.")


@pytest.mark.parametrize(
    "given", [[], [{"pool": "P", "lane": 0}], [{"pool": "p", "lane": -1}], ["p"]], ids=str
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, "PoolLaneWorkflow", *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
