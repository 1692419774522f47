"""Says why a run failed: the failure of its step, without what wraps it."""

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    FailureError,
    TerminatedError,
    TimeoutError,  # noqa: A004 - the SDK names it
)

from starters.terminal import one_line


def failure_of(error: WorkflowFailureError) -> tuple[str, str]:
    """The type and the sentence of the failure that a step raised."""
    cause: BaseException = error.cause
    if isinstance(cause, CancelledError):
        return "Cancelled", "somebody cancelled it."
    if isinstance(cause, TerminatedError):
        return "Terminated", "somebody terminated it."
    if isinstance(cause, TimeoutError):
        return "TimedOut", "it reached its execution timeout."
    step = ""
    while isinstance(cause, FailureError) and cause.cause is not None:
        if isinstance(cause, ApplicationError):
            break  # what caused it in turn is not meant for people
        step = cause.activity_id if isinstance(cause, ActivityError) else step
        cause = cause.cause
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    if isinstance(cause, TimeoutError):
        return "TimedOut", f"the step {step} did not end in time ({one_line(message)})."
    kind = (cause.type if isinstance(cause, ApplicationError) else None) or type(cause).__name__
    return kind, one_line(message) or kind


def ended_by(kind: str) -> str:
    """How a run ended, by the type of its failure, as the end of a clause."""
    return {"Cancelled": "was cancelled", "Terminated": "was terminated"}.get(kind, "failed")
