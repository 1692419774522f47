"""Shows where a run is while somebody waits for it."""

import asyncio
import contextlib
from typing import Any

from temporalio.api.failure.v1 import Failure
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import FailureError
from temporalio.service import RPCError

from durable_agents.models.errors import DurableAgentsError
from durable_agents.models.status import Progress, RunStatus
from starters.terminal import err, note, one_line, plain

LOOK_EVERY_S = 0.4
ASK_SERVER_EVERY = 5  # looks; what an activity that keeps failing says changes seldom
QUERY_TIMEOUT_S = 3
REASON_CHARS = 300


async def show_progress(handle: WorkflowHandle[Any, Any], *, quiet: bool) -> None:
    """Show the current step of a run until this is cancelled.

    Args:
        handle: The run.
        quiet: Show nothing.
    """
    if quiet:
        return
    shown = ""
    with err.status("starting", spinner="dots") as status:
        for look in range(1_000_000_000):
            line = await describe(handle, deep=look % ASK_SERVER_EVERY == ASK_SERVER_EVERY - 1)
            if line and line != shown:
                shown = line
                status.update(plain(line))
                if not err.is_terminal:
                    note(line, style="")
            await asyncio.sleep(LOOK_EVERY_S)


async def describe(handle: WorkflowHandle[Any, Any], *, deep: bool = False) -> str:
    """Where a run is, in one line; empty when nobody can tell just now.

    Args:
        handle: The run.
        deep: Ask the server as well what keeps failing.
    """
    trouble = await trouble_of(handle) if deep else ""
    with contextlib.suppress(RPCError, WorkflowQueryFailedError, TimeoutError):
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            status = await handle.query("status", result_type=RunStatus)
        line = status.step or status.state
        if status.waiting_for:
            line += f", waiting for {status.waiting_for}"
        if status.progress is not None:
            line += f" ({progress_of(status.progress)})"
        return f"{line}  {trouble}".rstrip()
    return trouble


def progress_of(progress: Progress) -> str:
    """How many parts of the work stand where, in words; of what is none nothing is said."""
    counted = progress.model_dump(include={"failed", "cancelled"})
    others = [f"{count} {name}" for name, count in counted.items() if count]
    return ", ".join([f"{progress.done} done", *others, f"{progress.left} left"])


CODE_FAILS = (
    "(attempt {0} of a workflow task: no worker took it, or the code does not fit this run; "
    "the log of the workers says which)"
)


async def trouble_of(handle: WorkflowHandle[Any, Any]) -> str:
    """What a step that is being tried again last failed of; empty when none is."""
    with contextlib.suppress(RPCError):
        seen = await handle.describe()
        for pending in seen.raw_description.pending_activities:
            if pending.attempt > 1:
                reason = one_line(await _said_by(seen, pending.last_failure))[:REASON_CHARS]
                most = f" of {pending.maximum_attempts}" if pending.maximum_attempts else ""
                return f"({pending.activity_id}: attempt {pending.attempt}{most}: {reason})"
        attempt = seen.raw_description.pending_workflow_task.attempt
        if attempt > 1:
            return CODE_FAILS.format(attempt)
    return ""


async def _said_by(seen: WorkflowExecutionDescription, failure: Failure) -> str:
    """What a failure says, decrypted where it is encrypted and the key is here."""
    with contextlib.suppress(DurableAgentsError):
        told = await seen.data_converter.decode_failure(failure)
        return told.message if isinstance(told, FailureError) else str(told)
    return failure.message
