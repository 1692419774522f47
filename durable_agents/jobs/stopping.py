"""Stops the jobs of a batch, and no others; ends a job's workflow that does not stop."""

import asyncio

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db import batch_jobs, batches
from durable_agents.db.engine import Database
from durable_agents.jobs.lanes import SIGNALS_AT_ONCE, stop, wake
from durable_agents.models.errors import ServiceUnavailableError
from durable_agents.models.work_pool import JobWorkflow


async def cancel_batch(client: Client, database: Database, batch: str) -> int:
    """Cancel what is left of a batch; what runs is told to stop, and has some seconds to do so.

    Returns:
        How many that run were told to stop.

    Raises:
        NotFoundError: There is no such batch.
        ServiceUnavailableError: Temporal does not answer.
    """
    async with database.transaction() as connection:
        pool = (await batches.find_batch(connection, batch)).pool
        running = await batch_jobs.cancel_batch(connection, batch)
    for start in range(0, len(running), SIGNALS_AT_ONCE):
        some = running[start : start + SIGNALS_AT_ONCE]
        await asyncio.gather(*(stop(client, pool, lane, run.job_id) for lane, run in some))
    await wake(client, database, pool)
    return len(running)


async def end_workflow(client: Client, run: JobWorkflow) -> None:
    """End the workflow of a job; one that has ended is let be.

    Raises:
        ServiceUnavailableError: Temporal does not answer.
    """
    handle = client.get_workflow_handle(run.workflow_id, first_execution_run_id=run.run_id or None)
    try:
        await handle.terminate(reason="Its job was cancelled, and it did not stop in time.")
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise ServiceUnavailableError(
                f"The run {run.workflow_id} cannot be ended ({error.message.rstrip('.')})."
            ) from error
