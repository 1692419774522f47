"""What a lane reports of a job that did not end as it should."""

import pytest
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import TimeoutError as TimeoutFailure

from durable_agents.models.errors import DatabaseUnavailableError
from durable_agents.models.jobs import ClaimedJob
from tests.failures import failed_activity
from workflows.job_failures import failure_of

JOB = ClaimedJob(job_id=1, fence=2, kind="noop", timeout_s=30)


def timed_out(kind: TimeoutType) -> ActivityError:
    return failed_activity(TimeoutFailure("x", type=kind, last_heartbeat_details=[]))


def outage() -> ActivityError:
    said = "The database does not answer: refused."
    return failed_activity(ApplicationError(said, type=DatabaseUnavailableError.__name__))


@pytest.mark.parametrize(
    ("error", "is_lost", "said"),
    [
        (timed_out(TimeoutType.HEARTBEAT), True, "The worker that ran the job died or froze"),
        (timed_out(TimeoutType.START_TO_CLOSE), False, "The job did not end within 30 s."),
        (WorkflowAlreadyStartedError("w", "W"), True, "An earlier run of the job is still"),
        (outage(), True, "The database does not answer"),
    ],
    ids=["dead", "slow", "still there", "outage"],
)
def test_a_try_is_lost_when_it_ended_by_no_doing_of_the_job(
    error: BaseException, is_lost: bool, said: str
) -> None:
    report = failure_of(JOB, error, is_stopped=False)

    assert (report.outcome, report.is_final, report.is_lost) == ("failed", False, is_lost)
    assert report.error.startswith(said)


def test_a_workflow_that_ended_by_an_outage_has_failed() -> None:
    job = JOB.model_copy(update={"kind": "workflow:OrderWorkflow"})

    report = failure_of(job, outage(), is_stopped=False)

    assert (report.outcome, report.is_lost) == ("failed", False)
