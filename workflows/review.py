"""F10: an agent works on a task; a person approves the text, or has it revised."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.drafts import DraftActivities
    from activities.records import RecordActivities
    from activities.reviews import ReviewActivities
    from activities.shielding import to_its_end
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.approval import PendingApproval, TakenDecision
    from durable_agents.models.drafts import WriteDraftInput
    from durable_agents.models.review import (
        CloseReviewInput,
        RequestedReview,
        RequestReviewInput,
        ReviewEnd,
        ReviewInput,
        ReviewResult,
        ReviewStatus,
    )
    from durable_agents.models.tracked import TaskFacts
    from workflows import policies
    from workflows.approval import ApprovalFlow

WORKER = "task_worker"
REVISER = "reviser"
NOT_DECIDED = "Nobody decided on revision {0} within {1:g} s."
NO_REVISION_LEFT = "Rejected, and no revision is left."
WITHDRAWN = "The run was ended before anyone decided."


@workflow.defn
class ReviewWorkflow(ApprovalFlow):
    """Work on a task, and save the text that a person approves.

    Takes the signal `decide`, the update `submit_decision`, and the queries `status` and
    `approval`. Ends approved; rejected, when it is out of revisions; or expired, when nobody
    decides in time. Fails when a step fails for good, or at the deadline of the whole run. A run
    that is cancelled, or reaches that deadline, withdraws its request.
    """

    def __init__(self) -> None:
        """Begin before the first draft."""
        super().__init__()
        self._model = ""
        self._open: RequestedReview | None = None

    @workflow.run
    async def run(self, request: ReviewInput) -> ReviewResult:
        """Process, then ask for decisions and revise until one ends it."""
        result = await self._to_deadline(request.deadline_s, self._decided_or_withdrawn(request))
        await self.finish_messages()
        return result

    async def _decided_or_withdrawn(self, request: ReviewInput) -> ReviewResult:
        """Go through the rounds; a run that is ended meanwhile leaves no request open."""
        try:
            return await self._rounds(request)
        except asyncio.CancelledError:
            if self._open is not None:
                await to_its_end(self._close(self._open, "withdrawn"))
            raise

    async def _rounds(self, request: ReviewInput) -> ReviewResult:
        task = await self._validate(request.task_id)
        user_id = request.user_id or task.user_id
        draft, revision = await self._process(task, user_id), 1
        while True:
            review = await to_its_end(self._request_review(task.task_id, revision, draft))
            pending = _pending(review)
            decision = await self.wait_for_decision(pending, request.decision_deadline_s)
            if decision is None:
                return await self._expire(review, request.decision_deadline_s)
            if decision.verdict == "approve":
                return await self._approve(review, decision)
            await to_its_end(self._close(review, "rejected", decision))
            if revision > request.max_revisions:
                return self._result(review, "rejected", NO_REVISION_LEFT, decision)
            draft, revision = await self._revise(review, user_id), revision + 1

    async def _validate(self, task_id: str) -> TaskFacts:
        with self.step("validate task", task_id):
            return await workflow.execute_activity_method(
                RecordActivities.validate_task,
                task_id,
                activity_id="validate-task",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"validate task {task_id}"[:200],
            )

    async def _process(self, task: TaskFacts, user_id: str) -> int:
        asked = WriteDraftInput(agent=WORKER, task_id=task.task_id, user_id=user_id)
        return await self._write("process", asked, f"process: {task.title}")

    async def _revise(self, review: RequestedReview, user_id: str) -> int:
        asked = WriteDraftInput(
            agent=REVISER, task_id=review.task_id, review_id=review.review_id, user_id=user_id
        )
        return await self._write(
            f"revise {review.revision}", asked, f"revise revision {review.revision}"
        )

    async def _write(self, step: str, request: WriteDraftInput, summary: str) -> int:
        """Let an agent write a draft; its id."""
        with self.step(step):
            draft = await workflow.execute_activity_method(
                DraftActivities.write_task_draft,
                request,
                activity_id=step.replace(" ", "-"),
                task_queue=queue_of(request.agent),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=summary[:200],
            )
        self.add_usage(draft.usage)
        self._model = draft.model
        return draft.draft_id

    async def _request_review(self, task_id: str, revision: int, draft: int) -> RequestedReview:
        with self.step(f"request review {revision}"):
            self._open = await workflow.execute_activity_method(
                ReviewActivities.request_review,
                RequestReviewInput(task_id=task_id, revision=revision, draft_id=draft),
                activity_id=f"request-review-{revision}",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"request a review of revision {revision}",
            )
        return self._open

    async def _approve(self, review: RequestedReview, decision: TakenDecision) -> ReviewResult:
        text = await to_its_end(self._save_approved(review, decision))
        return self._result(review, "approved", text, decision)

    async def _save_approved(self, review: RequestedReview, decision: TakenDecision) -> str:
        with self.step("save approved", decision.sentence()):
            saved = await workflow.execute_activity_method(
                ReviewActivities.save_approved,
                _end(review, "approved", decision),
                activity_id="save-approved",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"save the result: {decision.sentence()}"[:200],
            )
        self._open = None
        return saved.text

    async def _expire(self, review: RequestedReview, seconds: float) -> ReviewResult:
        await to_its_end(self._close(review, "expired"))
        return self._result(review, "expired", NOT_DECIDED.format(review.revision, seconds))

    async def _close(
        self, review: RequestedReview, status: ReviewStatus, decision: TakenDecision | None = None
    ) -> None:
        with self.step(f"close review {review.revision}", status):
            await workflow.execute_activity_method(
                ReviewActivities.close_review,
                _end(review, status, decision),
                activity_id=f"close-review-{review.revision}",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"revision {review.revision}: {status}",
            )
        self._open = None

    def _result(
        self,
        review: RequestedReview,
        status: ReviewEnd,
        result: str,
        decision: TakenDecision | None = None,
    ) -> ReviewResult:
        return ReviewResult(
            **review.model_dump(),
            status=status,
            result=result,
            decided_by=decision.by if decision else "",
            decided_at=decision.at if decision else None,
            feedback=decision.feedback if decision else "",
            model=self._model,
            usage=self._usage,
        )


def _pending(review: RequestedReview) -> PendingApproval:
    return PendingApproval(
        subject=review.task_id,
        digest=review.digest,
        revision=review.revision,
        review_id=review.review_id,
    )


def _end(
    review: RequestedReview, status: ReviewStatus, decision: TakenDecision | None
) -> CloseReviewInput:
    return CloseReviewInput(
        review_id=review.review_id,
        status=status,
        by=decision.by if decision else "",
        feedback=decision.feedback if decision else WITHDRAWN if status == "withdrawn" else "",
        at=decision.at if decision else workflow.now(),
    )
