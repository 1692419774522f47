"""How the failure of a run is told."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    TimeoutError,  # noqa: A004 - the SDK names it
    TimeoutType,
)

from starters.failures import failure_of
from tests.failures import failed_activity


def of_ours(message: str, kind: str, cause: BaseException | None = None) -> ApplicationError:
    error = ApplicationError(message, type=kind)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "kind", "said"),
    [
        (of_ours("No\n such\ttask.", "NotFoundError"), "NotFoundError", "No such task."),
        (
            failed_activity(of_ours("No key.", "ModelAuthenticationError")),
            "ModelAuthenticationError",
            "No key.",
        ),
        (
            of_ours("Too late.", "DeadlineExceededError", cause=CancelledError("inner")),
            "DeadlineExceededError",
            "Too late.",
        ),
        (
            failed_activity(
                TimeoutError(
                    "activity Heartbeat timeout",
                    type=TimeoutType.HEARTBEAT,
                    last_heartbeat_details=[],
                )
            ),
            "TimedOut",
            "the step think-1 did not end in time (activity Heartbeat timeout).",
        ),
        (CancelledError("x"), "Cancelled", "somebody cancelled it."),
        (TerminatedError("x"), "Terminated", "somebody terminated it."),
        (
            TimeoutError("x", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]),
            "TimedOut",
            "it reached its execution timeout.",
        ),
    ],
)
def test_a_failure_is_told_by_what_the_step_raised(
    cause: BaseException, kind: str, said: str
) -> None:
    assert failure_of(WorkflowFailureError(cause=cause)) == (kind, said)
