"""Closes rows whose runs ended without running code: of workflow_status, and requests.

A run that is terminated, or that its execution timeout ends, cannot close its own rows. Workers
look at rows that stayed open for a while, ask the server how those runs ended, and close them.
Refunds that such a run leaves open are taken up by new runs.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db import approvals, statuses
from durable_agents.db.approvals import OpenRequest
from durable_agents.db.engine import Database
from durable_agents.models.errors import DurableAgentsError
from durable_agents.models.tracked import RowStatus
from workers.refund_reconciler import take_up_refunds

EVERY_S = 15
OPEN_FOR = timedelta(seconds=10)
REQUESTS_AT_ONCE = 100  # they wait for days: a thousand are looked at within three minutes

_GONE = "The server knows no such run any more."
_ENDS: Final[dict[WorkflowExecutionStatus, tuple[RowStatus, str]]] = {
    WorkflowExecutionStatus.TERMINATED: ("terminated", "The run was terminated."),
    WorkflowExecutionStatus.TIMED_OUT: ("timed_out", "The run reached its execution timeout."),
    WorkflowExecutionStatus.FAILED: ("failed", "The run failed before it could say why here."),
    WorkflowExecutionStatus.CANCELED: ("cancelled", "The run was cancelled."),
    WorkflowExecutionStatus.COMPLETED: ("completed", ""),
}
_WITHDRAWN: Final[dict[WorkflowExecutionStatus, str]] = {
    WorkflowExecutionStatus.TERMINATED: "The run was terminated.",
    WorkflowExecutionStatus.TIMED_OUT: "The run reached its execution timeout.",
    WorkflowExecutionStatus.FAILED: "The run failed.",
    WorkflowExecutionStatus.CANCELED: "The run was cancelled.",
    WorkflowExecutionStatus.COMPLETED: "The run ended without this decision.",
}

_NO_SUCH_RUN = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT})
"""One row that names no run of this server must not keep the rows behind it open."""

logger = logging.getLogger(__name__)


async def reconcile_for_ever(client: Client, database: Database) -> None:
    """Reconcile now and then; a failure is logged and tried again the next time."""
    after = 0
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await take_up_refunds(client, database, open_for=OPEN_FOR)
            await reconcile(client, database, open_for=OPEN_FOR)
            after = await reconcile_requests(client, database, open_for=OPEN_FOR, after=after)
        except (DurableAgentsError, RPCError, SQLAlchemyError) as error:
            logger.warning("What ended runs left open could not be closed: %s", error)


async def reconcile(client: Client, database: Database, *, open_for: timedelta) -> int:
    """Close the rows of workflow_status of runs that ended without closing them.

    Args:
        client: Whom to ask how a run ended.
        database: Where the rows are.
        open_for: Rows that changed within this time are left alone.

    Returns:
        How many were closed.
    """
    async with database.statement() as connection:
        rows = await statuses.open_rows(connection, older_than=open_for)
    closed = 0
    for row in rows:
        end = await _end_of(client, row.workflow_id, row.run_id)
        if end is not None:
            async with database.statement() as connection:
                await statuses.close(connection, run_id=row.run_id, status=end[0], error=end[1])
            closed += 1
        else:
            async with database.statement() as connection:
                await statuses.touch(connection, run_id=row.run_id)
    return closed


async def reconcile_requests(
    client: Client, database: Database, *, open_for: timedelta, after: int = 0
) -> int:
    """Withdraw the requests of runs that ended without closing them, some at a time.

    Args:
        client: Whom to ask how a run ended.
        database: Where the requests are.
        open_for: Requests that were made within this time are left alone.
        after: The last request that was looked at.

    Returns:
        Where to go on; 0 when there are no more.
    """
    async with database.statement() as connection:
        rows = await approvals.open_requests(
            connection, older_than=open_for, after=after, limit=REQUESTS_AT_ONCE
        )
    for row in rows:
        reason = await _why_withdrawn(client, row)
        if reason:
            async with database.statement() as connection:
                await approvals.withdraw(connection, request_id=row.request_id, reason=reason)
    return rows[-1].request_id if len(rows) == REQUESTS_AT_ONCE else 0


async def _end_of(client: Client, workflow_id: str, run_id: str) -> tuple[RowStatus, str] | None:
    """How a run ended; None while it runs."""
    seen = await _describe(client, workflow_id, run_id)
    if seen is None:
        return ("terminated", _GONE)
    return _ENDS.get(seen.status) if seen.status is not None else None


async def _why_withdrawn(client: Client, request: OpenRequest) -> str:
    """Why nobody can decide any more; empty while somebody can.

    A reset terminates the run that asked; the run that takes its place asks anew.
    """
    seen = await _describe(client, request.workflow_id, request.run_id)
    if seen is None:
        return _GONE
    return _WITHDRAWN.get(seen.status, "") if seen.status is not None else ""


async def _describe(
    client: Client, workflow_id: str, run_id: str
) -> WorkflowExecutionDescription | None:
    """What the server says of a run; None when there is none."""
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
    except RPCError as error:
        if error.status in _NO_SUCH_RUN:
            return None
        raise
