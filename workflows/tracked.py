"""F14: work through a task step by step, with a row of workflow_status that keeps pace."""

import asyncio
import contextlib

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.drafts import DraftActivities
    from activities.records import RecordActivities
    from activities.shielding import to_its_end
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.drafts import SaveDraftInput, WriteDraftInput, WrittenDraft
    from durable_agents.models.tracked import (
        RowStatus,
        StatusRow,
        TaskFacts,
        TrackedInput,
        TrackedResult,
    )
    from workflows import policies
    from workflows.flow import Flow

AGENT = "task_worker"


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class TrackedWorkflow(Flow):
    """Work through a task: validate it (init), process it (step1), save the result (step2).

    Takes the query `status`. A row of workflow_status tells where the run is, and how it
    ended: completed, failed or cancelled. Once the result is saved it stands: the run
    completes, whatever cancel or deadline comes then. Rows of runs that were terminated or timed
    out, which run no code, are closed by the workers' reconciler.
    """

    def __init__(self) -> None:
        """Begin before the first step, with nothing saved."""
        super().__init__()
        self._row_step = "init"
        self._saved: TrackedResult | None = None

    @workflow.run
    async def run(self, request: TrackedInput) -> TrackedResult:
        """Work through the task; the row tells the end, whatever it is."""
        try:
            return await self._to_deadline(request.deadline_s, self._work(request))
        except (Exception, asyncio.CancelledError) as error:
            if self._saved is None:
                await self._close_row("cancelled" if is_cancelled_exception(error) else "failed")
                raise
        self._state, self._error = "completed", ""
        return self._saved

    async def _close_row(self, status: RowStatus) -> None:
        """Say in the row how the run ends; its own failure counts, also when a cancel follows."""
        row = StatusRow(status=status, step=self._row_step, error=self._error[:1000])
        with contextlib.suppress(ActivityError, asyncio.CancelledError):
            await to_its_end(self._save_row(row, "row-closed"))

    async def _work(self, request: TrackedInput) -> TrackedResult:
        await self._enter("init")
        task = await self._validate(request.task_id)
        await self._enter("step1")
        draft = await self._process(task, request.user_id or task.user_id)
        await self._enter("step2")
        return await to_its_end(self._finish(task.task_id, draft))

    async def _finish(self, task_id: str, draft: WrittenDraft) -> TrackedResult:
        """Save the result, and say so in the row: both, whatever cancel or deadline comes."""
        result = await self._save_result(task_id, draft)
        self._saved = TrackedResult(task_id=task_id, result=result, model=draft.model)
        self._row_step = "complete"
        await self._save_row(StatusRow(status="completed", step="complete"), "row-complete")
        return self._saved

    async def _enter(self, step: str) -> None:
        """Say in the row which step begins."""
        self._row_step = step
        await self._save_row(StatusRow(status="running", step=step), f"row-{step}")

    async def _save_row(self, row: StatusRow, activity_id: str) -> None:
        await workflow.execute_activity_method(
            RecordActivities.save_status,
            row,
            activity_id=activity_id,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            summary=f"workflow_status: {row.status}, {row.step}",
        )

    async def _validate(self, task_id: str) -> TaskFacts:
        with self.step("init", task_id):
            return await workflow.execute_activity_method(
                RecordActivities.validate_task,
                task_id,
                activity_id="init",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"validate task {task_id}"[:200],
            )

    async def _process(self, task: TaskFacts, user_id: str) -> WrittenDraft:
        with self.step("step1", task.title):
            draft = await workflow.execute_activity_method(
                DraftActivities.write_task_draft,
                WriteDraftInput(agent=AGENT, task_id=task.task_id, user_id=user_id),
                activity_id="step1",
                task_queue=queue_of(AGENT),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"process: {task.title}"[:200],
            )
        self.add_usage(draft.usage)
        return draft

    async def _save_result(self, task_id: str, draft: WrittenDraft) -> str:
        with self.step("step2"):
            saved = await workflow.execute_activity_method(
                DraftActivities.save_draft,
                SaveDraftInput(task_id=task_id, draft_id=draft.draft_id),
                activity_id="step2",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the result",
            )
        return saved.text
