"""Who is told that jobs and batches are finished, and what becomes of it."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from durable_agents.db import batches, jobs
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.models import queues
from durable_agents.models.jobs import Completion, OnComplete
from durable_agents.models.work_pool import PoolLaneInput
from tests.db.pooling import new_pool
from tests.workflows import runs
from tests.workflows.pooled import noop, until_asleep, until_counts, until_status

pytestmark = pytest.mark.usefixtures("worker")


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
