"""F4: process a user's task, save what came of it, and tell the user."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.drafts import DraftActivities
    from activities.records import RecordActivities
    from activities.shielding import to_its_end
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.drafts import SaveDraftInput, WriteDraftInput, WrittenDraft
    from durable_agents.models.errors import DeadlineExceededError
    from durable_agents.models.notifications import NotifyOutcome
    from durable_agents.models.process_task import TaskInput, TaskResult, UserTask
    from durable_agents.models.tracked import TaskFacts
    from workflows import policies
    from workflows.flow import Flow
    from workflows.notifying import NOTIFY_IN_ALL, notify

AGENT = "task_worker"
TOLD = "Task processing complete"
SPARE = timedelta(seconds=1)  # left of the deadline when telling gives up
NOT_BEGUN = NotifyOutcome(status="failed", error="The deadline of the run passed before it.")
CUT = NotifyOutcome(status="uncertain", error="The deadline of the run passed meanwhile.")


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class TaskWorkflow(Flow):
    """Process a task: validate it, let the model work, save the result, notify the user.

    Takes the query `status`. Ends with the result; fails when the task is not the user's, when
    the model stays out of reach or says nothing, or at its deadline. A notification that fails,
    or that the deadline cuts, is told in the result and undoes nothing.
    """

    def __init__(self) -> None:
        """Begin with nothing saved."""
        super().__init__()
        self._saved: TaskResult | None = None

    @workflow.run
    async def run(self, request: TaskInput) -> TaskResult:
        """Process the task within the deadline; once the result is saved, it stands."""
        try:
            return await self._to_deadline(request.deadline_s, self._work(request))
        except DeadlineExceededError:
            if self._saved is None:
                raise
        self._state, self._error = "completed", ""
        return self._saved

    async def _work(self, request: TaskInput) -> TaskResult:
        task = await self._validate(request)
        draft = await self._process(task, request.user_id)
        saved = await to_its_end(self._save(task.task_id, draft))
        self._saved = _told(saved, CUT)
        return _told(saved, await self._notify(task, request))

    async def _validate(self, request: TaskInput) -> TaskFacts:
        with self.step("validate task", request.task_id):
            return await workflow.execute_activity_method(
                RecordActivities.validate_user_task,
                UserTask(user_id=request.user_id, task_id=request.task_id),
                activity_id="validate-task",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"validate task {request.task_id}"[:200],
            )

    async def _process(self, task: TaskFacts, user_id: str) -> WrittenDraft:
        with self.step("process with model", task.title):
            draft = await workflow.execute_activity_method(
                DraftActivities.write_task_draft,
                WriteDraftInput(agent=AGENT, task_id=task.task_id, user_id=user_id),
                activity_id="process",
                task_queue=queue_of(AGENT),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"process: {task.title}"[:200],
            )
        self.add_usage(draft.usage)
        return draft

    async def _save(self, task_id: str, draft: WrittenDraft) -> TaskResult:
        """Save the result: from then on the run completes, whatever the deadline cuts."""
        with self.step("save results"):
            saved = await workflow.execute_activity_method(
                DraftActivities.save_draft,
                SaveDraftInput(task_id=task_id, draft_id=draft.draft_id),
                activity_id="save-results",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the results",
            )
        self._saved = TaskResult(
            task_id=task_id,
            result=saved.text,
            notification=NOT_BEGUN.status,
            notification_error=NOT_BEGUN.error,
            model=draft.model,
            usage=draft.usage,
        )
        return self._saved

    async def _notify(self, task: TaskFacts, request: TaskInput) -> NotifyOutcome:
        """Tell the user, in what is left of the deadline."""
        passed = workflow.now() - workflow.info().start_time
        left = timedelta(seconds=request.deadline_s) - passed - SPARE
        within = min(NOTIFY_IN_ALL, max(left, SPARE))
        with self.step("notify user", request.user_id):
            body = f"{task.title} ({task.task_id})"
            return await notify(request.user_id, TOLD, body, step="notify-user", within=within)


def _told(saved: TaskResult, told: NotifyOutcome) -> TaskResult:
    update = {"notification": told.status, "notification_error": told.error}
    return saved.model_copy(update=update)
