"""Waits for what fails in a run and is tried again."""

import asyncio
from typing import Any

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowHandle

SOON_S = 30


async def until_task_fails(handle: WorkflowHandle[Any, Any]) -> str:
    """Wait for a workflow task that failed; why."""
    async with asyncio.timeout(SOON_S):
        while True:
            async for event in handle.fetch_history_events(skip_archival=True):
                if event.HasField("workflow_task_failed_event_attributes"):
                    return event.workflow_task_failed_event_attributes.failure.message
            await asyncio.sleep(0.05)


async def until_activity(handle: WorkflowHandle[Any, Any], *, failed: bool) -> PendingActivityInfo:
    """Wait for the activity to be asked for, or for an attempt of it that failed."""
    async with asyncio.timeout(SOON_S):
        while True:
            seen = await handle.describe()
            for pending in seen.raw_description.pending_activities:
                if pending.HasField("last_failure") or not failed:
                    return pending
            await asyncio.sleep(0.05)
