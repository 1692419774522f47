"""Deletes payloads that no history needs any more.

A history may refer to whatever was stored since its run began, and a run that waits for weeks in
a worker's memory reads nothing meanwhile. So a payload goes only when it was last used before the
retention, and before the start of every run that the server still knows, open or closed. (A run
that was reset or goes on for another begins by reading what it inherits; it does not read the
inputs of steps that are done, which only an export of its history would want.) One run that stays
open for a year thus keeps what was stored since; that costs space and loses nothing.

What a Temporal Schedule will start with is not looked at. With PAYLOAD_STORE=s3 the bucket's
lifecycle rule does all this.
"""

import asyncio
import logging
import random
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agents.db import payloads
from durable_agents.db.engine import Database
from durable_agents.models.errors import DurableAgentsError

EVERY_S = 3600
MARGIN = timedelta(days=1)
"""For clocks that differ, for lists that lag, and because use is noted once an hour at most."""

logger = logging.getLogger(__name__)


async def collect_for_ever(client: Client, database: Database) -> None:
    """Collect once an hour; a failure is logged, and nothing was deleted that is needed."""
    await asyncio.sleep(random.uniform(0, EVERY_S))  # noqa: S311 - processes take turns
    while True:
        try:
            await collect_unneeded(client, database)
        except (DurableAgentsError, RPCError, SQLAlchemyError) as error:
            logger.warning("Old payloads could not be collected: %s", error)
        await asyncio.sleep(EVERY_S)


async def collect_unneeded(client: Client, database: Database) -> int:
    """Delete the payloads of the client's namespace that no history needs; tells how many."""
    until = await needed_since(client)
    async with database.statement() as connection:
        return await payloads.collect(connection, client.namespace, until)


async def needed_since(client: Client, *, now: datetime | None = None) -> datetime:
    """The moment before which nothing was used that a history still needs."""
    found = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), retry=True
    )
    retention = found.config.workflow_execution_retention_ttl.ToTimedelta()
    since = (now or datetime.now(UTC)) - retention
    query = f"StartTime < '{since.isoformat(timespec='seconds')}'"
    async for run in client.list_workflows(query):
        since = min(since, run.start_time)
    return since - MARGIN
