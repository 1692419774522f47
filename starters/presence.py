"""Tells whether somebody is there to do the work of a run."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from durable_agents.models import queues
from starters.terminal import SERVER_AWAY

NOBODY_FOR_S = 15  # as long as a worker may take to start
LOOKS = 5
AWAY = "the Temporal server does not answer any more"
POLLER_SEEN_WITHIN = timedelta(seconds=75)  # a poll lasts up to a minute


async def nobody_works(client: Client, handle: WorkflowHandle[Any, Any]) -> str:
    """Return once a run has waited in vain for a while; tell for whom, in words."""
    since = time.monotonic()
    while True:
        missing = await _missing_for(client, handle)
        if not missing:
            since = time.monotonic()
        elif time.monotonic() - since >= NOBODY_FOR_S:
            return missing
        await asyncio.sleep(NOBODY_FOR_S / LOOKS)


async def _missing_for(client: Client, handle: WorkflowHandle[Any, Any]) -> str:
    """Who is missing for a run to go on; empty when nobody is, or where we may not know."""
    try:
        for queue in await _queues_of(handle):
            if not await has_workers(client, queue):
                return f"no worker is there to do it (nobody works on {queue})"
    except RPCError as error:
        if error.status in SERVER_AWAY:
            return AWAY
    return ""


async def _queues_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The task queues on which a run may be waiting for somebody."""
    seen = await handle.describe()
    scheduled = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    waiting = [
        pending.activity_options.task_queue.name
        for pending in seen.raw_description.pending_activities
        if pending.state == scheduled
    ]
    return list(dict.fromkeys([seen.task_queue, *filter(None, waiting)]))


async def has_workers(client: Client, queue: str = queues.WORKFLOWS) -> bool:
    """Whether a worker has polled a task queue lately."""
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    if queue != queues.WORKFLOWS:
        kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
    )
    since = datetime.now(UTC) - POLLER_SEEN_WITHIN
    return any(
        poller.last_access_time.ToDatetime(tzinfo=UTC) > since for poller in described.pollers
    )
