"""F2: call an address of the web as often and as patiently as the caller says."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.external_calls import ExternalCallActivities
    from durable_agents.models import queues
    from durable_agents.models.external_call import (
        ExternalCallInput,
        ExternalCallResult,
        FetchedBody,
    )
    from workflows import policies
    from workflows.flow import Flow

CALL_TIMEOUT = timedelta(seconds=55)  # 30 for the whole answer, 20 for the database, 5 to spare


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class ExternalCallWorkflow(Flow):
    """Fetch a body from an address.

    Takes the query `status`. Ends with the body; fails at once when the address is private or
    the answer is 4xx, after the last attempt with what went wrong then (`HTTP 503 from …`), or
    at its deadline.
    """

    @workflow.run
    async def run(self, request: ExternalCallInput) -> ExternalCallResult:
        """Call, and try again as the policy says."""
        fetched = await self._to_deadline(request.deadline_s, self._fetch(request))
        return ExternalCallResult(**fetched.model_dump())

    async def _fetch(self, request: ExternalCallInput) -> FetchedBody:
        shown = request.url.partition("?")[0]  # a query can hold secrets
        with self.step("fetch url", shown):
            return await workflow.execute_activity_method(
                ExternalCallActivities.fetch_body,
                request.url,
                activity_id="fetch-url",
                task_queue=queues.TOOLS,
                start_to_close_timeout=CALL_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=_policy(request),
                summary=f"fetch {shown}"[:200],
            )


def _policy(request: ExternalCallInput) -> RetryPolicy:
    """The caller's policy; a server's own word goes before it, and a final error ends it."""
    return RetryPolicy(
        initial_interval=timedelta(seconds=request.initial_delay_s),
        backoff_coefficient=request.backoff,
        maximum_interval=timedelta(seconds=request.maximum_delay_s),
        maximum_attempts=request.maximum_attempts,
        non_retryable_error_types=policies.FINAL_BY_NAME,
    )
