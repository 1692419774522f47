"""Lanes that are cancelled, terminated or reset, and jobs that nobody was woken for."""

import asyncio
import secrets

import pytest
from sqlalchemy import text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from durable_agents.db import jobs
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from tests.db.pooling import new_pool
from tests.workflows import runs
from tests.workflows.pooled import first_task_of, noop, until_asleep, until_counts, until_status
from workers.pool_reconciler import reconcile_pools

pytestmark = pytest.mark.usefixtures("worker")


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
