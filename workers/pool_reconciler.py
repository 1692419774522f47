"""Keeps the work pools going where a process ended between two steps, and puts old jobs away.

A process that puts jobs in may end before it wakes lanes; a lane may be terminated, or its
job's worker be lost together with it. Workers look now and then at what the tables say against
what the server says. What they find they repair by waking lanes, which is harmless when done
without need.
"""

import asyncio
import logging
import random

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db import job_retention, lanes, pools, ranks, reports
from durable_agents.db.engine import Database
from durable_agents.jobs.lanes import lane_id, signal_lanes, wake
from durable_agents.models.errors import DurableAgentsError

EVERY_S = 12
PUT_AWAY_EVERY = 25  # rounds: five minutes
LONG_RUNNING_S = 15
OPEN_LANES = "WorkflowType = 'PoolLaneWorkflow' AND ExecutionStatus = 'Running'"

logger = logging.getLogger(__name__)


async def reconcile_pools_for_ever(client: Client, database: Database) -> None:
    """Reconcile now and then; a failure is logged and tried again the next time."""
    rounds = 0
    while True:
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - so that processes take turns
        await asyncio.sleep(EVERY_S * jitter)
        rounds += 1
        try:
            await reconcile_pools(client, database)
            if rounds % PUT_AWAY_EVERY == 1:
                await put_away(database)
        except (DurableAgentsError, RPCError, SQLAlchemyError) as error:
            logger.warning("The work pools could not be reconciled: %s", error)


async def reconcile_pools(
    client: Client, database: Database, *, long_running_s: float = LONG_RUNNING_S
) -> int:
    """Wake what should be awake, and put back jobs whose lanes are gone; tells how many of those.

    Args:
        client: Whom to ask which lanes are open.
        database: Where the jobs are.
        long_running_s: Jobs handed out within this time are left alone.
    """
    put_back = await _put_back_of_closed(client, database, long_running_s)
    async with database.statement() as connection:
        names = await pools.pools_with_work(connection, client.namespace)
    for name in names:
        async with database.statement() as connection:
            stuck = await lanes.stuck_lanes(connection, name)
        await signal_lanes(client, name, stuck)
        await wake(client, database, name)
    return put_back


async def put_away(database: Database) -> int:
    """Delete finished jobs that their pools keep no longer; tells how many."""
    deleted = 0
    while True:
        async with database.statement() as connection:
            some = await job_retention.purge(connection)
            await ranks.forget_shares(connection)
        deleted += some
        if not some:
            return deleted


async def _put_back_of_closed(client: Client, database: Database, long_running_s: float) -> int:
    """Queue jobs that run, by the tables, in runs of lanes that are closed."""
    async with database.statement() as connection:
        suspects = await lanes.long_running(
            connection, client.namespace, older_than_s=long_running_s
        )
    if not suspects:
        return 0
    # The list of open runs lags behind, so that it clears of suspicion and does not convict.
    open_runs = {seen.run_id async for seen in client.list_workflows(OPEN_LANES)}
    put_back = 0
    for suspect in suspects:
        if suspect.run_id in open_runs or await _is_open(client, suspect):
            continue
        async with database.statement() as connection:
            job_id, fence = suspect.job_id, suspect.fence
            done = await reports.put_back_one(connection, job_id=job_id, fence=fence)
        if done:
            put_back += 1
            logger.warning("Job %s is put back: its lane's run is closed", job_id)
    return put_back


async def _is_open(client: Client, suspect: lanes.Suspect) -> bool:
    """Whether the run that was handed a job is open."""
    handle = client.get_workflow_handle(
        lane_id(suspect.pool, suspect.lane), run_id=suspect.run_id or None
    )
    try:
        seen = await handle.describe()
    except RPCError as error:
        if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
            return False
        raise
    return seen.status == WorkflowExecutionStatus.RUNNING
