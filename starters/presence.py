"""Tells whether somebody is there to do the work of a run."""

import asyncio
import time
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState, VersioningBehavior
from temporalio.api.workflow.v1 import WorkflowExecutionVersioningInfo
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError

from durable_agents.clients.versions import look_at_queue
from durable_agents.models import queues
from starters.terminal import SERVER_AWAY

NOBODY_FOR_S = 15  # as long as a worker may take to start
LOOKS = 5
AWAY = "the Temporal server does not answer any more"


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
        seen = await handle.describe()
        pinned = _pinned_to(seen.raw_info.versioning_info)
        for name in _queues_of(seen):
            queue = await look_at_queue(client, name)
            if not queue.is_served(pinned):
                return f"no worker is there to do it ({queue.why_not(pinned)})"
    except RPCError as error:
        if error.status in SERVER_AWAY:
            return AWAY
    return ""


def _pinned_to(info: WorkflowExecutionVersioningInfo) -> str | None:
    """The version whose workers alone can go on with a run; None when any that is current can."""
    if info.behavior != VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        return None
    version = info.deployment_version
    return f"{version.deployment_name}.{version.build_id}"


def _queues_of(seen: WorkflowExecutionDescription) -> list[str]:
    """The task queues on which a run may be waiting for somebody."""
    scheduled = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    waiting = [
        pending.activity_options.task_queue.name
        for pending in seen.raw_description.pending_activities
        if pending.state == scheduled
    ]
    return list(dict.fromkeys([seen.task_queue, *filter(None, waiting)]))


async def has_workers(client: Client, queue: str = queues.WORKFLOWS) -> bool:
    """Whether a worker that gets what comes to a task queue has polled it lately."""
    return (await look_at_queue(client, queue)).is_served()
