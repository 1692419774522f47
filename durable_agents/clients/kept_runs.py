"""Which runs the Temporal server still keeps, as far as what they wrote must be kept with them.

A run that is open, or whose history can still be read, may be reset, and then looks for what it
wrote: however old that is.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

DESCRIBED_AT_ONCE = 16


async def history_retention(client: Client) -> timedelta:
    """How long the namespace keeps the histories of runs that have ended.

    Raises:
        RPCError: The server does not answer.
    """
    seen = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), retry=True
    )
    return seen.config.workflow_execution_retention_ttl.ToTimedelta()


async def kept_runs(client: Client, retention: timedelta) -> set[str]:
    """The ids of runs, and of the first runs of chains, whose rows may be older than `retention`.

    A run that began within the retention is not asked about unless it is open: if it continues
    another, that one is kept as well, or is older than the retention.

    Raises:
        RPCError: The server does not answer.
    """
    since = datetime.now(UTC) - retention
    queries = (
        "ExecutionStatus = 'Running'",
        "ExecutionStatus = 'ContinuedAsNew'",
        f"StartTime < '{since.isoformat()}'",
    )
    found = {
        (run.id, run.run_id) for query in queries async for run in client.list_workflows(query)
    }
    return {run_id for _, run_id in found} | await _first_runs(client, found)


async def _first_runs(client: Client, runs: Iterable[tuple[str, str]]) -> set[str]:
    """The first runs of the chains that some runs belong to."""
    turns = asyncio.Semaphore(DESCRIBED_AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> str:
        async with turns:
            try:
                seen = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return run_id  # gone since it was listed
                raise
        return seen.raw_info.first_run_id or run_id

    return set(await asyncio.gather(*(one(*run) for run in runs)))


async def open_runs_of(client: Client, user_id: str) -> list[str]:
    """The ids of a user's open runs.

    Raises:
        RPCError: The server does not answer.
    """
    quoted = user_id.replace("\\", "\\\\").replace("'", "\\'")
    query = f"UserId = '{quoted}' AND ExecutionStatus = 'Running'"
    return [run.id async for run in client.list_workflows(query)]


async def runs_of(client: Client, user_id: str) -> list[tuple[str, str]]:
    """The ids, and the runs, of all of a user's runs that the server still keeps.

    Raises:
        RPCError: The server does not answer.
    """
    quoted = user_id.replace("\\", "\\\\").replace("'", "\\'")
    return [(run.id, run.run_id) async for run in client.list_workflows(f"UserId = '{quoted}'")]
