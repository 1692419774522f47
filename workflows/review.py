"""F10: an agent works on a task; a person approves the text, or has it revised."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.drafts import DraftActivities
    from activities.records import RecordActivities
    from activities.reviews import ReviewActivities
    from activities.shielding import to_its_end
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.approval import Outcome, RequestApprovalInput
    from durable_agents.models.drafts import WriteDraftInput
    from durable_agents.models.review import (
        ReviewEnd,
        ReviewInput,
        ReviewResult,
        SaveApprovedInput,
    )
    from durable_agents.models.tracked import TaskFacts
    from workflows import policies
    from workflows.approval import ApprovalFlow

WORKER = "task_worker"
REVISER = "reviser"
NOT_DECIDED = "Nobody decided on revision {0} within {1:g} s."
NO_REVISION_LEFT = "Rejected, and no revision is left."
CONSEQUENCES = "The text is saved as the result of the task."
RESTS = "review-deadline-rests"


@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class ReviewWorkflow(ApprovalFlow):
    """Work on a task, and save the text that a person approves.

    Takes the signal `decide`, the update `submit_decision`, and the queries `status` and
    `approval`. Ends approved; rejected, when it is out of revisions; or expired, when nobody
    decides in time. Fails when a step fails for good, or at its deadline, which rests while it
    waits for a person. A run that is cancelled withdraws its request.
    """

    def __init__(self) -> None:
        """Begin before the first draft."""
        super().__init__()
        self._model = ""

    @workflow.run
    async def run(self, request: ReviewInput) -> ReviewResult:
        """Process, then ask for decisions and revise until one ends it."""
        self.waits_off_the_clock = workflow.patched(RESTS)
        result = await self._to_deadline(request.deadline_s, self._rounds(request))
        await self.finish_messages()
        return result

    async def _rounds(self, request: ReviewInput) -> ReviewResult:
        task = await self._validate(request.task_id)
        user_id = request.user_id or task.user_id
        draft, revision, previous = await self._process(task, user_id), 1, 0
        while True:
            asked = _request(request, task, user_id).model_copy(
                update={
                    "step": f"review-{revision}",
                    "revision": revision,
                    "draft_id": draft,
                    "previous_id": previous,
                }
            )
            outcome = await self.ask(asked, request.decision_deadline_s, label=str(revision))
            if outcome.status == "approved":
                return await self._approve(task.task_id, revision, outcome)
            if outcome.status == "expired":
                text = NOT_DECIDED.format(revision, request.decision_deadline_s)
                return self._result(task.task_id, revision, outcome, text)
            if revision > request.max_revisions:
                return self._result(task.task_id, revision, outcome, NO_REVISION_LEFT)
            previous = outcome.request_id
            draft = await self._revise(task.task_id, revision, previous, user_id)
            revision += 1

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

    async def _revise(self, task_id: str, revision: int, reviewed: int, user_id: str) -> int:
        asked = WriteDraftInput(agent=REVISER, task_id=task_id, review_id=reviewed, user_id=user_id)
        return await self._write(f"revise {revision}", asked, f"revise revision {revision}")

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

    async def _approve(self, task_id: str, revision: int, outcome: Outcome) -> ReviewResult:
        text = await to_its_end(self._save_approved(task_id, outcome))
        return self._result(task_id, revision, outcome, text)

    async def _save_approved(self, task_id: str, outcome: Outcome) -> str:
        by = f"approved by {outcome.by or 'somebody'}"
        if outcome.is_by_default:
            by = "approved, since nobody decided"
        with self.step("save approved", by):
            saved = await workflow.execute_activity_method(
                ReviewActivities.save_approved,
                SaveApprovedInput(request_id=outcome.request_id, task_id=task_id),
                activity_id="save-approved",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"save the result: {by}"[:200],
            )
        return saved.text

    def _result(self, task_id: str, revision: int, outcome: Outcome, result: str) -> ReviewResult:
        decided = outcome.status != "expired"
        status: ReviewEnd = "expired"
        if decided:
            status = "approved" if outcome.approved else "rejected"
        return ReviewResult(
            task_id=task_id,
            status=status,
            result=result,
            revision=revision,
            review_id=outcome.request_id,
            digest=outcome.digest,
            decided_by=outcome.by,
            decided_at=outcome.at if decided else None,
            feedback=outcome.feedback if decided else "",
            model=self._model,
            usage=self._usage,
            verified=outcome.verified,
            edited=outcome.edited,
        )


def _request(request: ReviewInput, task: TaskFacts, user_id: str) -> RequestApprovalInput:
    """What is the same in the requests of all revisions."""
    return RequestApprovalInput(
        step="review",
        kind="review",
        subject=task.task_id,
        asked_by=request.asked_by or user_id,
        for_whom=user_id,
        consequences=CONSEQUENCES,
        options=request.approval,
    )
