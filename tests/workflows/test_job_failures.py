"""What a lane reports of a job that did not end as it should."""

import pytest
from temporalio.exceptions import (
    ActivityError,
    RetryState,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import TimeoutError as TimeoutFailure

from durable_agents.models.jobs import ClaimedJob
from workflows.job_failures import failure_of

JOB = ClaimedJob(job_id=1, fence=2, kind="noop", timeout_s=30)


def timed_out(kind: TimeoutType) -> ActivityError:
    error = ActivityError(
        "x",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="noop",
        activity_id="job-1",
        retry_state=RetryState.TIMEOUT,
    )
    error.__cause__ = TimeoutFailure("x", type=kind, last_heartbeat_details=[])
    return error


@pytest.mark.parametrize(
    ("error", "is_lost", "said"),
    [
        (timed_out(TimeoutType.HEARTBEAT), True, "The worker that ran the job died or froze"),
        (timed_out(TimeoutType.START_TO_CLOSE), False, "The job did not end within 30 s."),
        (WorkflowAlreadyStartedError("w", "W"), True, "An earlier run of the job is still"),
    ],
    ids=["dead", "slow", "still there"],
)
def test_a_try_is_lost_when_it_ended_by_no_doing_of_the_job(
    error: BaseException, is_lost: bool, said: str
) -> None:
    report = failure_of(JOB, error, is_stopped=False)

    assert (report.outcome, report.is_final, report.is_lost) == ("failed", False, is_lost)
    assert report.error.startswith(said)
