"""Runs that wait for people's decisions: what they wait for, and how a decision reaches them."""

import asyncio
from dataclasses import dataclass

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.approval import (
    ApprovalState,
    Decision,
    PendingApproval,
    TakenDecision,
)
from durable_agents.models.errors import ConfigurationError, DecisionRefusedError, InputError
from starters.inspect import find_run, status_name
from starters.progress import QUERY_TIMEOUT_S

UPDATE_TIMEOUT_S = 15  # a worker that is being replaced answers again by then


class RefusedByRunError(DecisionRefusedError):
    """A run does not take a decision; `written_down` says whether it keeps that itself."""

    def __init__(self, message: str, *, written_down: bool) -> None:
        """Keep the sentence, and who keeps it."""
        super().__init__(message)
        self.written_down = written_down


@dataclass(frozen=True)
class Waiting:
    """A run, and what it waits for."""

    workflow_id: str
    run_id: str
    pending: PendingApproval


async def waiting_of(client: Client, workflow_id: str, *, request_id: int = 0) -> Waiting:
    """Read what the newest run of this id waits for.

    Args:
        client: Whom to ask.
        workflow_id: The run.
        request_id: Which of the requests that wait; may be left out when there is one.

    Raises:
        NotFoundError: There is no such run.
        InputError: It waits for several decisions.
        DecisionRefusedError: It does not wait for a decision; says what it does.
        ConfigurationError: No worker answers.
    """
    seen = await find_run(client, workflow_id)
    state = await _state_of(client, seen)
    waiting = [one for one in state.waiting if request_id in {0, one.request_id}]
    if waiting and seen.status == WorkflowExecutionStatus.RUNNING:
        if len(waiting) > 1:
            ids = ", ".join(str(one.request_id) for one in waiting)
            raise InputError(
                f"Run {workflow_id} waits for several decisions: name the request ({ids})."
            )
        return Waiting(workflow_id, seen.run_id, waiting[0])
    latest = state.latest.sentence() if state.latest else ""
    decided = f" {latest[:1].upper()}{latest[1:]} already." if latest else ""
    if seen.status != WorkflowExecutionStatus.RUNNING:
        raise DecisionRefusedError(
            f"Run {workflow_id} has ended ({status_name(seen.status)}); there is nothing to "
            f"decide.{decided}"
        )
    raise DecisionRefusedError(
        f"Run {workflow_id} does not wait for a decision now.{decided} "
        f"`durable-agents status {workflow_id}` shows where it is."
    )


async def _state_of(client: Client, seen: WorkflowExecution) -> ApprovalState:
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await client.get_workflow_handle(seen.id, run_id=seen.run_id).query(
                "approval", result_type=ApprovalState
            )
    except WorkflowQueryFailedError as error:
        raise DecisionRefusedError(
            f"Run {seen.id} is a {seen.workflow_type}, which asks nobody for a decision."
        ) from error
    except (RPCError, TimeoutError) as error:
        raise _nobody_answers(seen.id) from error


async def submit(client: Client, waiting: Waiting, decision: Decision) -> TakenDecision:
    """Send a decision to the run that was read, and to no later one of its id.

    Raises:
        RefusedByRunError: The run does not take it; says why.
        ConfigurationError: No worker answers.
    """
    workflow_id = waiting.workflow_id
    handle = client.get_workflow_handle(workflow_id, run_id=waiting.run_id)
    try:
        async with asyncio.timeout(UPDATE_TIMEOUT_S):
            return await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's type
                "submit_decision", decision, result_type=TakenDecision
            )
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        told = cause.message if isinstance(cause, ApplicationError) else str(error)
        raise RefusedByRunError(
            f"Run {workflow_id} does not take the decision. {told}",
            written_down=isinstance(cause, ApplicationError) and bool(cause.details),
        ) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise _nobody_answers(workflow_id) from error
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        raise RefusedByRunError(
            f"Run {workflow_id} has ended; it takes no decision any more.", written_down=False
        ) from error


def _nobody_answers(workflow_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"No worker answers for run {workflow_id} just now; start one with `python -m workers`, "
        "then see with `durable-agents status` whether the run still waits."
    )
