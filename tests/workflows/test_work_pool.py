"""C2 with the real server and the real database: lanes run jobs, at most so many at once."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError
from temporalio.worker import Worker

from durable_agents.db import batches, jobs, pools
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.kinds.noop import NOOP, NoopPayload
from durable_agents.models import queues
from durable_agents.models.jobs import Completion, JobRetry, JobRow, NewJob, OnComplete
from durable_agents.models.work_pool import PoolLaneInput, PoolLaneResult
from tests.db.pooling import new_pool, pool_name
from tests.workflows import runs
from workers.pool_reconciler import reconcile_pools
from workflows import job_workflows

pytestmark = pytest.mark.usefixtures("worker")


def noop(seconds: float = 0, failures: int = 0, **options: Any) -> NewJob:
    is_final = bool(options.pop("is_final", False))
    payload = NoopPayload(seconds=seconds, failures=failures, is_final=is_final)
    return NOOP.new(payload, **options)


async def job_of(database: Database, job_id: int) -> JobRow:
    async with database.statement() as connection:
        return await jobs.find_job(connection, job_id)


async def counts_of(database: Database, pool: str) -> dict[str, int]:
    async with database.statement() as connection:
        return (await pools.status(connection, pool)).counts


async def until_counts(database: Database, pool: str, **wanted: int) -> None:
    async def there() -> bool:
        return await counts_of(database, pool) == wanted

    try:
        await runs.until(there, f"{pool}: {wanted}", within=30)
    except AssertionError as error:
        raise AssertionError(f"{error}; {await counts_of(database, pool)}") from None


async def until_status(database: Database, job_id: int, status: str) -> JobRow:
    async def there() -> bool:
        return (await job_of(database, job_id)).status == status

    await runs.until(there, f"job {job_id} is {status}", within=30)
    return await job_of(database, job_id)


async def until_asleep(client: Client, pool: str, lane: int = 0) -> None:
    handle = client.get_workflow_handle(lanes.lane_id(pool, lane))

    async def there() -> bool:
        return (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED

    await runs.until(there, f"lane {lane} of {pool} ends", within=20)


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


async def test_cancelling_stops_what_runs_and_what_waits(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    running, queued, kept = await lanes.submit(client, database, pool, [noop(60), noop(60), noop()])
    await until_status(database, running, "running")

    told = [await lanes.cancel(client, database, pool, i) for i in (running, queued)]

    assert told == ["running", "cancelled"]
    await until_status(database, running, "cancelled")
    await until_status(database, kept, "done")


async def test_a_lane_that_was_terminated_leaves_its_job_to_others(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    ids = await lanes.submit(client, database, pool, [noop(0.8)])
    await until_status(database, ids[0], "running")
    await client.get_workflow_handle(lanes.lane_id(pool, 0)).terminate()

    await reconcile_pools(client, database, long_running_s=0)

    done = await until_status(database, ids[0], "done")
    assert done.failures == 0


async def test_a_lane_that_was_cancelled_leaves_its_job_to_others(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    ids = await lanes.submit(client, database, pool, [noop(60)])
    await until_status(database, ids[0], "running")
    handle = client.get_workflow_handle(lanes.lane_id(pool, 0))

    await handle.cancel()
    kind, _ = await runs.failure_of(handle)
    caplog.clear()
    both = (reconcile_pools(client, database, long_running_s=0) for _ in range(2))
    put_back = await asyncio.gather(*both)

    assert kind == "CancelledError"
    assert sum(put_back) >= 1
    assert caplog.text.count(f"Job {ids[0]} is put back") == 1  # by one of them
    await until_status(database, ids[0], "running")
    await lanes.cancel_all(client, database, pool)
    await until_status(database, ids[0], "cancelled")


async def test_the_reconciler_leaves_jobs_that_run_as_they_are(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    ids = await lanes.submit(client, database, pool, [noop(0.5)])
    await until_status(database, ids[0], "running")

    await reconcile_pools(client, database, long_running_s=0)

    done = await until_status(database, ids[0], "done")
    assert done.failures == 0
    handle = client.get_workflow_handle(lanes.lane_id(pool, 0))
    assert await runs.activities_of(handle) == [f"job-{ids[0]}-1"]


async def test_jobs_that_nobody_woke_a_lane_for_are_found(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database)
    async with database.transaction() as connection:
        await jobs.enqueue(connection, pool, [noop()])

    await reconcile_pools(client, database)

    await until_counts(database, pool, done=1)


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


async def test_a_workflow_runs_as_a_job(client: Client, database: Database) -> None:
    pool = await new_pool(database)
    good = NewJob(kind="workflow:DebugWorkflow", payload={"values": [3, 4, 5]}, tenant="t-1")
    bad = NewJob(kind="workflow:DebugWorkflow", payload={"values": "none"})

    ids = await lanes.submit(client, database, pool, [good, bad])

    done = await until_status(database, ids[0], "done")
    failed = await until_status(database, ids[1], "failed")
    assert done.result["total"] == 12
    assert (failed.failures, failed.error_type) == (1, "ValidationError")
    seen = await client.get_workflow_handle(f"pool/{pool}/job-{ids[0]}").describe()
    assert seen.status == WorkflowExecutionStatus.COMPLETED


async def test_a_workflow_that_nobody_knows_is_given_up_and_its_lane_goes_on(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    unknown = NewJob(kind="workflow:NoSuchWorkflow", timeout_s=0.2, retry=JobRetry(attempts=1))

    ids = await lanes.submit(client, database, pool, [unknown, noop()])

    failed = await until_status(database, ids[0], "failed")
    assert "see in its run whether workers know it" in failed.error
    await until_status(database, ids[1], "done")


async def test_a_workflow_that_takes_too_long_or_is_cancelled_is_stopped(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database)
    slow = {"kind": "workflow:DebugWorkflow", "payload": {"values": [1], "pause_s": 60}}
    once = {"attempts": 1}

    late, stopped = await lanes.submit(
        client,
        database,
        pool,
        [
            NewJob.model_validate({**slow, "timeout_s": 0.5, "retry": once}),
            NewJob.model_validate(slow),
        ],
    )
    await until_status(database, stopped, "running")
    await lanes.cancel(client, database, pool, stopped)

    assert (await until_status(database, late, "failed")).error_type == "TimeoutError"
    await until_status(database, stopped, "cancelled")
    for job_id in (late, stopped):
        seen = await client.get_workflow_handle(f"pool/{pool}/job-{job_id}").describe()
        assert seen.status == WorkflowExecutionStatus.CANCELED


async def deaf_job(client: Client, database: Database, pool: str) -> int:
    """A job whose workflow never reacts, which has begun."""
    deaf = NewJob(kind="workflow:NoSuchWorkflow", timeout_s=600, retry=JobRetry(attempts=1))
    ids = await lanes.submit(client, database, pool, [deaf, noop()])
    lane = client.get_workflow_handle(lanes.lane_id(pool, 0))

    async def has_begun() -> bool:
        try:
            kinds = [event.event_type for event in await runs.events_of(lane)]
        except RPCError:
            return False
        begun = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
        heard = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        return begun in kinds and heard in kinds[kinds.index(begun) :]

    await runs.until(has_begun, "the workflow is there", within=20)
    return ids[0]


async def test_a_cancelled_job_whose_workflow_never_reacts_is_ended_and_its_lane_goes_on(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_workflows, "MOST_GRACE_S", 0.3)
    pool = await new_pool(database, max_parallelism=1)
    deaf = await deaf_job(client, database, pool)

    await lanes.cancel(client, database, pool, deaf)
    await lanes.cancel(client, database, pool, deaf)

    await until_counts(database, pool, cancelled=1, done=1)
    assert (await job_of(database, deaf)).status == "cancelled"
    seen = await client.get_workflow_handle(f"pool/{pool}/job-{deaf}").describe()
    assert seen.status == WorkflowExecutionStatus.TERMINATED


async def test_a_cancelled_lane_waits_for_no_workflow_that_never_reacts(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_workflows, "MOST_GRACE_S", 0.3)
    pool = await new_pool(database, max_parallelism=1)
    deaf = await deaf_job(client, database, pool)
    handle = client.get_workflow_handle(lanes.lane_id(pool, 0))

    await handle.cancel()
    kind, _ = await runs.failure_of(handle)
    await lanes.cancel_all(client, database, pool)
    await reconcile_pools(client, database, long_running_s=0)

    assert kind == "CancelledError"
    seen = await client.get_workflow_handle(f"pool/{pool}/job-{deaf}").describe()
    assert seen.status == WorkflowExecutionStatus.TERMINATED
    await until_counts(database, pool, cancelled=2)


async def test_a_lane_that_is_reset_runs_its_job_with_a_fence_of_its_own(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    ids = await lanes.submit(client, database, pool, [noop(1.5)])
    await until_status(database, ids[0], "running")
    handle = client.get_workflow_handle(lanes.lane_id(pool, 0))
    seen = await handle.describe()

    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=seen.run_id),
            reason="by hand",
            workflow_task_finish_event_id=await first_task_of(handle),
            request_id=secrets.token_hex(8),
        ),
        retry=True,
    )

    done = await until_status(database, ids[0], "done")
    await until_asleep(client, pool)
    async with database.statement() as connection:
        query = text("SELECT fence FROM jobs WHERE job_id = :id")
        assert await connection.scalar(query, {"id": ids[0]}) == 2
    assert done.failures == 0


async def first_task_of(handle: Any) -> int:
    """The event that ended a run's first workflow task: to what it is reset."""
    return next(
        event.event_id
        for event in await runs.events_of(handle)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )


async def test_a_workflow_is_signalled_when_a_job_and_a_batch_are_finished(
    client: Client, database: Database
) -> None:
    pool, batch = await new_pool(database), f"batch-{secrets.token_hex(4)}"
    waiting = await client.start_workflow(
        "PoolLaneWorkflow",
        PoolLaneInput(pool=await paused_with_work(database), lane=0),
        id=f"receiver-{secrets.token_hex(4)}",
        task_queue=queues.WORKFLOWS,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    told = OnComplete(workflow_id=waiting.id, signal="told", context={"n": 1})
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool, on_complete=told)

    ids = await lanes.submit(client, database, pool, [noop(on_complete=told), noop()], batch=batch)
    async with database.statement() as connection:
        await batches.seal(connection, batch)
    await lanes.wake(client, database, pool)

    async def told_of() -> list[dict[str, Any]]:
        return [
            client.data_converter.payload_converter.from_payload(
                event.workflow_execution_signaled_event_attributes.input.payloads[0]
            )
            for event in await runs.events_of(waiting)
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        ]

    async def both() -> bool:
        return len(await told_of()) >= 2

    await runs.until(both, "both are told", within=20)
    await until_asleep(client, pool)
    heard = {completion.get("job_id", 0): completion for completion in await told_of()}
    await waiting.terminate()
    assert heard[ids[0]]["status"] == "done"
    assert heard[ids[0]]["context"] == {"n": 1}
    assert heard[0]["counts"] == {"done": 2}
    assert heard[0]["batch"] == batch
    assert len(await told_of()) == 2


async def paused_with_work(database: Database) -> str:
    """A pool whose lane waits for an hour, and can take signals meanwhile."""
    pool = await new_pool(database)
    async with database.transaction() as connection:
        later = datetime.now(UTC) + timedelta(hours=1)
        await jobs.enqueue(connection, pool, [noop(not_before=later)])
    return pool


async def test_an_activity_is_run_with_the_completion_and_a_receiver_that_is_gone_is_let_be(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    heard: list[Completion] = []

    @activity.defn(name="hear")
    async def hear(completion: Completion) -> None:
        heard.append(completion)

    gone = OnComplete(workflow_id="nobody-has-this-id", signal="told")
    here = OnComplete(activity="hear", queue=pool, context={"n": 1})
    async with Worker(client, task_queue=pool, activities=[hear]):
        new = [noop(on_complete=gone), noop(on_complete=here, is_final=True), noop()]
        ids = await lanes.submit(client, database, pool, new)
        await until_counts(database, pool, done=2, failed=1)
        await until_asleep(client, pool)

    assert [(c.job_id, c.status, c.error_type, c.context) for c in heard] == [
        (ids[1], "failed", "InputError", {"n": 1})
    ]
    async with database.statement() as connection:
        assert await batches.take_tellings(connection, pool) == []


async def test_a_receiver_that_does_not_answer_delays_no_job_and_is_not_told_twice(
    client: Client, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    slow = OnComplete(activity="hear", queue=pool)  # nobody works there yet
    heard: list[int] = []

    @activity.defn(name="hear")
    async def hear(completion: Completion) -> None:
        heard.append(completion.job_id)

    first = await lanes.submit(client, database, pool, [noop(on_complete=slow)])
    handle = client.get_workflow_handle(lanes.lane_id(pool, 0))
    await runs.until_step(handle, "tell of completions")
    other = await lanes.submit(client, database, pool, [noop()])
    await until_status(database, other[0], "done")
    before = list(heard)
    async with Worker(client, task_queue=pool, activities=[hear]):
        await until_asleep(client, pool)

    assert before == []
    assert heard == first
    async with database.statement() as connection:
        told = text("SELECT told_at IS NOT NULL FROM jobs WHERE job_id = :id")
        assert await connection.scalar(told, {"id": first[0]})


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


async def test_waiting_for_a_batch_ends_with_its_counts(client: Client, database: Database) -> None:
    pool, batch = await new_pool(database), f"batch-{secrets.token_hex(4)}"
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool)
    seen: list[dict[str, int]] = []

    async def see(counts: dict[str, int]) -> None:
        seen.append(counts)

    waiting = asyncio.ensure_future(lanes.wait_for_batch(database, batch, every_s=0.05, seen=see))
    await lanes.submit(client, database, pool, [noop(), noop(is_final=True)], batch=batch)
    async with database.statement() as connection:
        await batches.seal(connection, batch)

    async with asyncio.timeout(20):
        assert await waiting == {"done": 1, "failed": 1}
    assert seen
