"""Closes rows of workflow_status whose runs ended without running code.

A run that is terminated, or that its execution timeout ends, cannot close its own row. Workers
look at rows that stayed open for a while, ask the server how those runs ended, and close them.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db import statuses
from durable_agents.db.engine import Database
from durable_agents.models.errors import DurableAgentsError
from durable_agents.models.tracked import RowStatus

EVERY_S = 15
OPEN_FOR = timedelta(seconds=10)

_ENDS: Final[dict[WorkflowExecutionStatus, tuple[RowStatus, str]]] = {
    WorkflowExecutionStatus.TERMINATED: ("terminated", "The run was terminated."),
    WorkflowExecutionStatus.TIMED_OUT: ("timed_out", "The run reached its execution timeout."),
    WorkflowExecutionStatus.FAILED: ("failed", "The run failed before it could say why here."),
    WorkflowExecutionStatus.CANCELED: ("cancelled", "The run was cancelled."),
    WorkflowExecutionStatus.COMPLETED: ("completed", ""),
}

_NO_SUCH_RUN = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT})
"""One row that names no run of this server must not keep the rows behind it open."""

logger = logging.getLogger(__name__)


async def reconcile_for_ever(client: Client, database: Database) -> None:
    """Reconcile now and then; a failure is logged and tried again the next time."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await reconcile(client, database, open_for=OPEN_FOR)
        except (DurableAgentsError, RPCError, SQLAlchemyError) as error:
            logger.warning("Rows of workflow_status could not be reconciled: %s", error)


async def reconcile(client: Client, database: Database, *, open_for: timedelta) -> int:
    """Close the rows of runs that ended without closing them; tells how many.

    Args:
        client: Whom to ask how a run ended.
        database: Where the rows are.
        open_for: Rows that changed within this time are left alone.
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


async def _end_of(client: Client, workflow_id: str, run_id: str) -> tuple[RowStatus, str] | None:
    """How a run ended; None while it runs."""
    try:
        seen = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
    except RPCError as error:
        if error.status in _NO_SUCH_RUN:
            return ("terminated", "The server knows no such run any more.")
        raise
    return _ENDS.get(seen.status) if seen.status is not None else None
