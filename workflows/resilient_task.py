"""F11: work through a task with the primary agent, and with the fallback agent when that fails."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.drafts import DraftActivities
    from activities.records import RecordActivities
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.conversation import LoggedError
    from durable_agents.models.drafts import SaveDraftInput, WriteDraftInput, WrittenDraft
    from durable_agents.models.errors import (
        BudgetExceededError,
        DatabaseUnavailableError,
        NotFoundError,
        UnknownAgentError,
    )
    from durable_agents.models.resilient_task import ResilientTaskInput, ResilientTaskResult
    from durable_agents.models.tracked import TaskFacts
    from workflows import policies
    from workflows.flow import Flow, is_type, reason_of, type_of

PRIMARY = "primary_worker"
FALLBACK = "fallback_worker"
PRIMARY_IN_ALL = timedelta(minutes=10)  # an hour of patience is of no use: there is another agent
NOT_THE_MODEL = (
    BudgetExceededError,  # of the tenant's day: the other agent has none, either
    DatabaseUnavailableError,
    NotFoundError,
    UnknownAgentError,
)
NO_FAILURE = LoggedError(type="", message="")
LOGGED_CHARS = 2000


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class ResilientTaskWorkflow(Flow):
    """Work through a task although the agent that should do it fails.

    Takes the query `status`. Ends with the result and whether it is the fallback agent's. Fails
    when both agents fail, when the result cannot be saved, or at its deadline.
    """

    @workflow.run
    async def run(self, request: ResilientTaskInput) -> ResilientTaskResult:
        """Try the primary agent, then the other one, and save what came of it."""
        return await self._to_deadline(request.deadline_s, self._work(request))

    async def _work(self, request: ResilientTaskInput) -> ResilientTaskResult:
        task = await self._validate(request.task_id)
        user_id = request.user_id or task.user_id
        draft, failed = await self._try_primary(task, user_id)
        if draft is None:
            await self._log_error(failed)
            draft = await self._write("fallback", FALLBACK, task, user_id)
        return ResilientTaskResult(
            task_id=task.task_id,
            result=await self._save(task.task_id, draft),
            is_fallback=bool(failed.type),
            error=failed.message,
            agent=FALLBACK if failed.type else PRIMARY,
            model=draft.model,
            usage=self._usage,
        )

    async def _try_primary(
        self, task: TaskFacts, user_id: str
    ) -> tuple[WrittenDraft | None, LoggedError]:
        """Let the primary agent try; its draft, or how its model failed."""
        try:
            return await self._write("primary", PRIMARY, task, user_id), NO_FAILURE
        except ActivityError as error:
            if is_cancelled_exception(error) or any(is_type(error, kind) for kind in NOT_THE_MODEL):
                raise
            return None, LoggedError(type=type_of(error), message=reason_of(error)[:LOGGED_CHARS])

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

    async def _write(self, step: str, agent: str, task: TaskFacts, user_id: str) -> WrittenDraft:
        in_all = PRIMARY_IN_ALL if agent == PRIMARY else policies.MODEL_CALL_IN_ALL
        with self.step(step, task.title):
            draft = await workflow.execute_activity_method(
                DraftActivities.write_task_draft,
                WriteDraftInput(agent=agent, task_id=task.task_id, user_id=user_id),
                activity_id=step,
                task_queue=queue_of(agent),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=in_all,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"{agent}: {task.title}"[:200],
            )
        self.add_usage(draft.usage)
        return draft

    async def _log_error(self, error: LoggedError) -> None:
        with self.step("log error", error.message[:200]):
            await workflow.execute_activity_method(
                RecordActivities.log_error,
                error,
                activity_id="log-error",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="log why the primary agent failed",
            )

    async def _save(self, task_id: str, draft: WrittenDraft) -> str:
        with self.step("save result"):
            saved = await workflow.execute_activity_method(
                DraftActivities.save_draft,
                SaveDraftInput(task_id=task_id, draft_id=draft.draft_id),
                activity_id="save-result",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the result",
            )
        return saved.text
