"""Takes up refunds whose run was cut off: by a terminate, a reset gone wrong, a lost server.

A run of its own undoes what was left over, instead of the worker: it retries, parks and asks
people as every saga does, is seen in the Web UI, and there is one for each refund at most. A run
that waits for a person is left alone: it may be about to be paid out by hand.
"""

import logging
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)

from durable_agents.clients.runs import is_at_work
from durable_agents.db import refunds
from durable_agents.db.engine import Database
from durable_agents.db.refunds import OpenRefund
from durable_agents.models import queues
from durable_agents.models.order import LeftOver, OrderInput

TASK_TIMEOUT = timedelta(seconds=5)  # a worker killed inside a workflow task

_PATTERN = SearchAttributeKey.for_keyword("Pattern")
_ATTRIBUTES = TypedSearchAttributes([SearchAttributePair(_PATTERN, "order")])

logger = logging.getLogger(__name__)


async def take_up_refunds(client: Client, database: Database, *, open_for: timedelta) -> int:
    """Have refunds that nobody is at taken up by new runs.

    Args:
        client: Whom to ask which runs have ended, and where new ones are started.
        database: Where the refunds are.
        open_for: Those that were begun or looked at within this time are left alone.

    Returns:
        How many were taken up.
    """
    async with database.statement() as connection:
        rows = await refunds.open_refunds(connection, client.namespace, older_than=open_for)
    taken_up = 0
    for row in rows:
        workflow_id, run_id = row.workflow_id, row.run_id
        if not await is_at_work(client, workflow_id, run_id):
            workflow_id, run_id = await _start(client, row)
            taken_up += 1
            logger.warning("A refund was cut off; run %s takes it up", workflow_id)
        async with database.statement() as connection:
            await refunds.hand_over(connection, row, workflow_id=workflow_id, run_id=run_id)
    return taken_up


async def _start(client: Client, row: OpenRefund) -> tuple[str, str]:
    """Start a run that undoes what is left over; one that is there already is taken."""
    left = LeftOver(charge=row.generation, reservation=row.reservation)
    handle = await client.start_workflow(
        "OrderWorkflow",
        OrderInput(order_id=row.order_id, left_over=left),
        id=f"refund-{row.order_id}-{row.generation}",
        task_queue=queues.WORKFLOWS,
        task_timeout=TASK_TIMEOUT,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=_ATTRIBUTES,
        static_summary=f"undo what was left over of order {row.order_id}"[:200],
    )
    return handle.id, handle.first_execution_run_id or ""
