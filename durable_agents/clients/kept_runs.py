"""Which runs the Temporal server still keeps, as far as what they wrote must be kept with them.

A run that is open, or whose history can still be read, may be reset, and then looks for what it
wrote: however old that is.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime, timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

DESCRIBED_AT_ONCE = 16
OPEN = "ExecutionStatus = 'Running'"
USER_ID = SearchAttributeKey.for_keyword("UserId")


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
    """The ids of runs whose rows may be older than `retention` and are looked for all the same.

    A run that began within the retention is not asked about unless it is open: if it continues
    another, that one is kept as well, or is older than the retention.

    Raises:
        RPCError: The server does not answer.
    """
    since = datetime.now(UTC) - retention
    queries = (
        OPEN,
        "ExecutionStatus = 'ContinuedAsNew'",
        f"StartTime < '{since.isoformat()}'",
    )
    found = {
        (run.id, run.run_id) for query in queries async for run in client.list_workflows(query)
    }
    return await _all_behind(client, found)


async def _all_behind(client: Client, runs: Iterable[tuple[str, str]]) -> set[str]:
    """The runs whose rows some runs may look for."""
    turns = asyncio.Semaphore(DESCRIBED_AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> set[str]:
        async with turns:
            return await runs_behind(client, workflow_id, run_id)

    return set[str]().union(*await asyncio.gather(*(one(*run) for run in runs)))


async def runs_behind(client: Client, workflow_id: str, run_id: str) -> set[str]:
    """The runs whose rows a run may look for: its own, the first of its chain, reset ones.

    A run that was reset goes on from steps that other runs did, and the server may have forgotten
    those; only its history tells of all of them.

    Raises:
        RPCError: The server does not answer.
    """
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    found = {run_id}
    try:
        seen = await handle.describe()
        found.add(seen.raw_info.first_run_id or run_id)
        if seen.raw_description.workflow_extended_info.HasField("last_reset_time"):
            async for event in handle.fetch_history_events():
                found.add(event.workflow_task_failed_event_attributes.base_run_id or run_id)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # gone since it was listed
            raise
    return found


async def open_runs_of(client: Client, user_id: str) -> list[str]:
    """The ids of a user's open runs.

    Raises:
        RPCError: The server does not answer.
    """
    return [run.id async for run in list_runs(client, OPEN, user_id=user_id)]


async def ended_runs_of(client: Client, user_id: str) -> list[tuple[str, str]]:
    """The ids, and the runs, of a user's runs that have ended and that the server still keeps.

    Raises:
        RPCError: The server does not answer.
    """
    query = "ExecutionStatus != 'Running'"
    return [(run.id, run.run_id) async for run in list_runs(client, query, user_id=user_id)]


async def list_runs(
    client: Client, query: str, *, user_id: str = ""
) -> AsyncGenerator[WorkflowExecution]:
    """The runs that fit a visibility query and, where one is named, are for this very user.

    What is found is compared once more: some databases take upper case for lower.

    Raises:
        RPCError: The server does not answer, or does not understand the query.
    """
    parts = (equals("UserId", user_id) if is_sayable(user_id) else "", query)
    async for run in client.list_workflows(" AND ".join(part for part in parts if part)):
        if not user_id or run.typed_search_attributes.get(USER_ID) == user_id:
            yield run


def is_sayable(value: str) -> bool:
    """Whether a visibility query finds a value.

    A server that keeps its list in an SQL database finds none with a backslash or a double quote,
    nor with a quote at an end, however these are escaped.
    """
    return not any(sign in value for sign in '\\"') and value.strip("'") == value


def equals(attribute: str, value: str) -> str:
    """A condition of a visibility query; empty for an empty value."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{attribute} = '{quoted}'" if value else ""
