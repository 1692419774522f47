"""What a lane reports of a job that did not end as it should."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    TimeoutType,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as TimeoutFailure

with workflow.unsafe.imports_passed_through():
    from durable_agents.models.errors import DatabaseUnavailableError
    from durable_agents.models.jobs import WORKFLOW_KIND, ClaimedJob
    from durable_agents.models.work_pool import LaneReport
    from workflows.flow import raised_in, reason_of, type_of

OUTAGE = DatabaseUnavailableError.__name__
STOPPING_S = 30.0  # how long to wait for a run of the same job that is still being stopped


def failure_of(job: ClaimedJob, error: BaseException, *, is_stopped: bool) -> LaneReport:
    """What to report of a job that did not end as it should."""
    report = LaneReport(job_id=job.job_id, fence=job.fence, outcome="failed")
    if is_stopped and is_cancelled_exception(error):
        return report.model_copy(update={"outcome": "cancelled"})
    raised, is_workflow = raised_in(error), job.kind.startswith(WORKFLOW_KIND)
    told: dict[str, Any] = {"error_type": type_of(error), "error": reason_of(error)[:2000]}
    if isinstance(raised, ApplicationError):
        delay = raised.next_retry_delay
        told["is_final"] = raised.non_retryable
        told["retry_after_s"] = delay.total_seconds() if delay is not None else None
        # A run's own steps outlast an outage for minutes, and what they make of it then counts.
        told["is_lost"] = raised.type == OUTAGE and not is_workflow
    elif isinstance(raised, WorkflowAlreadyStartedError):
        told["error"] = "An earlier run of the job is still being stopped."
        told["retry_after_s"], told["is_lost"] = STOPPING_S, True
    elif isinstance(raised, TimeoutFailure | TimeoutError):
        lost = isinstance(raised, TimeoutFailure) and raised.type == TimeoutType.HEARTBEAT
        told["error_type"], told["at_once"], told["is_lost"] = "TimeoutError", True, lost
        told["error"] = (
            "The worker that ran the job died or froze: nothing was heard of it for some seconds."
            if lost
            else f"The job did not end within {job.timeout_s:g} s. Give it a longer timeout_s"
            + (", and see in its run whether workers know it." if is_workflow else ".")
        )
    return report.model_copy(update=told)
