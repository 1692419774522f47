"""What a run that was undone tells of itself: what it did, and what of it was undone."""

import asyncio
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_agents.models.saga import SagaOutcome
from starters.progress import QUERY_TIMEOUT_S
from starters.terminal import note


async def outcome_of(
    error: WorkflowFailureError, handle: WorkflowHandle[Any, Any]
) -> SagaOutcome | None:
    """What a run did and undid: by its failure, else by its own word; None when neither tells."""
    cause = error.cause
    with suppress(ValidationError):
        if isinstance(cause, ApplicationError) and cause.details:
            return SagaOutcome.model_validate(cause.details[0])
    return await asked_outcome(handle)


async def asked_outcome(handle: WorkflowHandle[Any, Any]) -> SagaOutcome | None:
    """What a run says that it did and undid; None when no worker answers for it."""
    with suppress(RPCError, WorkflowQueryFailedError, TimeoutError):
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await handle.query("outcome", result_type=SagaOutcome)
    return None


def tell_outcome(outcome: SagaOutcome) -> None:
    """Say what was done and what was undone."""
    note(f"Done: {', '.join(outcome.done) or 'nothing'}.")
    note(f"Undone: {', '.join(outcome.undone) or 'nothing'}.")
    for given_up in outcome.abandoned:
        who = f" by {given_up.by}" if given_up.by else ""
        note(f"Not undone, given up{who}: {given_up.step} ({given_up.reason}).", "yellow")
    for told in outcome.notes:
        note(f"{told[:1].upper()}{told[1:]}.", "yellow")
