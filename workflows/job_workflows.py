"""Runs a job of a work pool that is a workflow of its own, and ends one that does not stop."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import FailureError, TerminatedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.pool import PoolActivities
    from activities.shielding import to_its_end
    from durable_agents.models import queues
    from durable_agents.models.jobs import WORKFLOW_KIND, ClaimedJob
    from durable_agents.models.work_pool import JobWorkflow
    from workflows import policies
    from workflows.flow import PHASE

CHILD_TASK_TIMEOUT = timedelta(seconds=5)  # a worker killed inside a workflow task
LEAST_GRACE_S, MOST_GRACE_S = 2.0, 60.0  # for a workflow that is told to stop, to undo what it did
PATTERN = SearchAttributeKey.for_keyword("Pattern")
USER_ID = SearchAttributeKey.for_keyword("UserId")
BOUNDED = "end-job-workflows-that-do-not-stop"

ChildHandle = workflow.ChildWorkflowHandle[Any, Any]


async def run_job_workflow(job: ClaimedJob, pool: str) -> Any:
    """Run the workflow of a job and give its result; one that takes too long is cancelled.

    One that was told to stop has as long as the job may take for that, but 2 s at least and 60 s
    at most; then it is terminated, and the lane goes on. The server ends one whose time is over:
    nobody may know its type.

    Raises:
        FailureError: The workflow failed, or was cancelled.
        TimeoutError: It did not end in time.
    """
    limit, child = asyncio.timeout(job.timeout_s), None
    try:
        async with limit:
            child = await _start(job, pool)
            await asyncio.wait({child})  # a single one: this is deterministic
    except (asyncio.CancelledError, TimeoutError) as stopped:
        if child is None:
            raise
        await to_its_end(_stop(child, job, is_late=limit.expired()))
        error = child.exception()
        if error is not None and limit.expired():  # the child says only that it was cancelled
            raise TimeoutError from error
        if isinstance(error, FailureError) and isinstance(error.cause, TerminatedError):
            raise stopped from error
    return child.result()


async def _start(job: ClaimedJob, pool: str) -> ChildHandle:
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(PATTERN, "work_pool"),
            SearchAttributePair(USER_ID, job.tenant or "-"),
            SearchAttributePair(PHASE, "running"),
        ]
    )
    return await workflow.start_child_workflow(
        job.kind.removeprefix(WORKFLOW_KIND),
        job.payload,
        id=f"pool/{pool}/job-{job.job_id}",
        task_queue=queues.WORKFLOWS,
        task_timeout=CHILD_TASK_TIMEOUT,
        execution_timeout=timedelta(seconds=job.timeout_s + _grace_s(job)),
        parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        search_attributes=attributes,
        static_summary=job.about or None,
    )


async def _stop(child: ChildHandle, job: ClaimedJob, *, is_late: bool) -> None:
    """Tell a workflow to stop, and wait until it has ended, one way or another."""
    child.cancel()
    if not is_late and workflow.patched(BOUNDED):
        await asyncio.wait({child}, timeout=_grace_s(job))
        if not child.done():
            await workflow.execute_local_activity_method(
                PoolActivities.end_job_workflow,
                JobWorkflow(workflow_id=child.id, run_id=child.first_execution_run_id or ""),
                activity_id=f"end-{job.job_id}-{job.fence}",
                start_to_close_timeout=policies.SERVICE_CALL_TIMEOUT,
                retry_policy=policies.CLAIM,
                summary="end a workflow that does not stop",
            )
    await asyncio.wait({child})


def _grace_s(job: ClaimedJob) -> float:
    return min(max(job.timeout_s, LEAST_GRACE_S), MOST_GRACE_S)
