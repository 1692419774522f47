"""Says, while somebody waits for a run, for whose decision it waits, and how to make it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from durable_agents.models.approval import ApprovalState, PendingApproval
from durable_agents.models.people import REVIEWER
from starters.progress import QUERY_TIMEOUT_S
from starters.terminal import note

LOOK_EVERY_S = 0.7


async def tell_requests(handle: WorkflowHandle[Any, Any], inbox_url: str, *, quiet: bool) -> None:
    """Tell each request of a run once, until this is cancelled.

    Args:
        handle: The run.
        inbox_url: Where the reviewers' page is; empty where there is none.
        quiet: Tell nothing.
    """
    told: set[int] = set()
    while not quiet:
        with suppress(RPCError, WorkflowQueryFailedError, TimeoutError):
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                state = await handle.query("approval", result_type=ApprovalState)
            for pending in state.waiting:
                if pending.request_id not in told:
                    told.add(pending.request_id)
                    _tell(pending, inbox_url)
        await asyncio.sleep(LOOK_EVERY_S)


def _tell(pending: PendingApproval, inbox_url: str) -> None:
    until = datetime.fromtimestamp(pending.closes_at, UTC)
    whom = pending.reviewer or f"a {REVIEWER}"
    note(
        f"It waits for {whom} to decide on {pending.subject}, until {until:%Y-%m-%d %H:%M} UTC.",
        "yellow",
    )
    command = f"durable-agents decide {pending.request_id}"
    page = f", or {inbox_url.rstrip('/')}/requests/{pending.request_id}" if inbox_url else ""
    note(f'`{command}` shows it; then `--approve`, or `--reject "why"`{page}.', "yellow")
