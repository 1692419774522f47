"""Stops the jobs of a batch, and of no other: those that wait at once, those that run by signal."""

import asyncio

from temporalio.client import Client

from durable_agents.db import batch_jobs, batches
from durable_agents.db.engine import Database
from durable_agents.jobs.lanes import SIGNALS_AT_ONCE, stop, wake


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
