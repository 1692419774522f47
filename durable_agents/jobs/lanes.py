"""What is done to a pool from outside: put jobs in, wake its lanes, cancel, pause, resize, wait."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db import batches, cancelled_jobs, jobs, lanes, pools
from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.errors import ServiceUnavailableError
from durable_agents.models.jobs import JobStatus, NewJob, PoolStatus
from durable_agents.models.work_pool import CancelJob, PoolLaneInput

TASK_TIMEOUT = timedelta(seconds=5)  # a worker killed inside a workflow task
SIGNALS_AT_ONCE = 20
_PATTERN = SearchAttributeKey.for_keyword("Pattern")
_ATTRIBUTES = TypedSearchAttributes([SearchAttributePair(_PATTERN, "work_pool")])


def lane_id(pool: str, lane: int) -> str:
    """The workflow id of a lane; by it there is one open run of each lane at most."""
    return f"pool/{pool}/lane-{lane}"


async def submit(
    client: Client,
    database: Database,
    pool: str,
    new: Sequence[NewJob],
    *,
    batch: str | None = None,
) -> list[int]:
    """Put jobs into a pool, all or none, and wake its lanes.

    Returns:
        The ids of the new jobs, in their order; a job whose key is there already is left out.

    Raises:
        InputError: A payload is over 256 KiB or is not JSON.
        NotFoundError: There is no such pool.
        ServiceUnavailableError: Temporal does not answer. The jobs are in, and run when it does.
    """
    async with database.transaction() as connection:
        ids = await jobs.enqueue(connection, pool, new, batch=batch)
    await wake(client, database, pool)
    return ids


async def wake(client: Client, database: Database, pool: str) -> int:
    """Wake the lanes that are needed for what a pool has to do; tells how many.

    To be called after the commit of whatever gave it something to do. If that is forgotten, or
    the process ends in between, the workers notice within seconds.

    Raises:
        ConfigurationError: The pool's lanes run in another namespace.
        ServiceUnavailableError: Temporal does not answer; the workers try again.
    """
    async with database.statement() as connection:
        await batches.note_all_complete(connection, pool)
    async with database.transaction() as connection:
        chosen = await lanes.lanes_to_wake(connection, pool, client.namespace)
    await signal_lanes(client, pool, chosen)
    return len(chosen)


async def signal_lanes(client: Client, pool: str, chosen: Sequence[int]) -> None:
    """Signal lanes; one that has no open run is started.

    One that is just closing has to take the signal first, and goes on.
    """
    for start in range(0, len(chosen), SIGNALS_AT_ONCE):
        some = chosen[start : start + SIGNALS_AT_ONCE]
        await asyncio.gather(*(_signal(client, pool, lane) for lane in some))


async def _signal(client: Client, pool: str, lane: int) -> None:
    try:
        await client.start_workflow(
            "PoolLaneWorkflow",
            PoolLaneInput(pool=pool, lane=lane),
            id=lane_id(pool, lane),
            task_queue=queues.WORKFLOWS,
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=_ATTRIBUTES,
            static_summary=f"lane {lane} of pool {pool}",
            start_signal="wake",
        )
    except RPCError as error:
        raise ServiceUnavailableError(
            f"Lane {lane} of pool {pool} cannot be woken ({error.message.rstrip('.')}); the "
            "workers try again within seconds."
        ) from error


async def resize(client: Client, database: Database, pool: str, max_parallelism: int) -> PoolStatus:
    """Change how many jobs run at once; of those that run, none is stopped.

    Raises:
        InputError: The number is below 0 or above 1,000.
        NotFoundError: There is no such pool.
    """
    return await _configure(client, database, pool, max_parallelism=max_parallelism)


async def pause(client: Client, database: Database, pool: str) -> PoolStatus:
    """Begin no more jobs; those that run are finished."""
    return await _configure(client, database, pool, is_paused=True)


async def resume(client: Client, database: Database, pool: str) -> PoolStatus:
    """Go on beginning jobs."""
    return await _configure(client, database, pool, is_paused=False)


async def _configure(
    client: Client,
    database: Database,
    pool: str,
    *,
    max_parallelism: int | None = None,
    is_paused: bool | None = None,
) -> PoolStatus:
    async with database.transaction() as connection:
        changed = await pools.configure(
            connection, pool, max_parallelism=max_parallelism, is_paused=is_paused
        )
    await wake(client, database, pool)
    return changed


async def cancel(client: Client, database: Database, pool: str, job_id: int) -> JobStatus:
    """Cancel a job; one that runs is told to stop, and has some seconds to do so.

    Returns:
        Its status now: `running` when it was told to stop.

    Raises:
        NotFoundError: The pool has no such job.
    """
    async with database.statement() as connection:
        status, lane = await cancelled_jobs.cancel(connection, pool, job_id)
    if lane >= 0:
        await stop(client, pool, lane, job_id)
    await wake(client, database, pool)
    return status


async def cancel_all(client: Client, database: Database, pool: str) -> tuple[int, int]:
    """Cancel all jobs of a pool.

    Returns:
        How many had not begun, and how many that run were told to stop.
    """
    async with database.transaction() as connection:
        waiting, running = await cancelled_jobs.cancel_all(connection, pool)
    for start in range(0, len(running), SIGNALS_AT_ONCE):
        some = running[start : start + SIGNALS_AT_ONCE]
        await asyncio.gather(*(stop(client, pool, lane, run.job_id) for lane, run in some))
    await wake(client, database, pool)
    return waiting, len(running)


async def stop(client: Client, pool: str, lane: int, job_id: int) -> None:
    """Tell a lane to stop a job, if it runs it.

    Raises:
        ServiceUnavailableError: Temporal does not answer.
    """
    handle = client.get_workflow_handle(lane_id(pool, lane))
    try:
        await handle.signal("cancel_job", CancelJob(job_id=job_id))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # gone: its job is cancelled when put back
            raise ServiceUnavailableError(
                f"Job {job_id} of pool {pool} cannot be told to stop "
                f"({error.message.rstrip('.')}). Cancel it again."
            ) from error


async def wait_for_batch(
    database: Database,
    batch: str,
    *,
    every_s: float = 1,
    seen: Callable[[dict[str, int]], Awaitable[None]] | None = None,
) -> dict[str, int]:
    """Wait until all jobs of a batch are finished; `seen` is told the counts now and then.

    Returns:
        How many jobs ended how.

    Raises:
        NotFoundError: There is no such batch.
    """
    while True:
        async with database.statement() as connection:
            found = await batches.find_batch(connection, batch)
            counted = await batches.counts(connection, batch)
        if seen is not None:
            await seen(counted)
        if found.sealed and not counted.keys() & {"queued", "delayed", "running"}:
            return counted
        await asyncio.sleep(every_s)
