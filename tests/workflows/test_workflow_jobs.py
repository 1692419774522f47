"""Workflows as jobs of a pool: they run, are given up, and are stopped."""

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.models.jobs import JobRetry, NewJob
from tests.db.pooling import new_pool
from tests.workflows import runs
from tests.workflows.pooled import job_of, noop, until_counts, until_status
from workers.pool_reconciler import reconcile_pools
from workflows import job_workflows

pytestmark = pytest.mark.usefixtures("worker")


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
