"""F14: work through a task step by step, with a row of workflow_status that keeps pace."""

import asyncio
import contextlib

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.generation import GenerationActivities
    from activities.records import RecordActivities
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.conversation import GeneratedText, GenerateInput
    from durable_agents.models.tracked import (
        SaveResultInput,
        StatusRow,
        TaskRecord,
        TrackedInput,
        TrackedResult,
    )
    from workflows import policies
    from workflows.flow import Flow

AGENT = "task_worker"


@workflow.defn
class TrackedWorkflow(Flow):
    """Work through a task: validate it (init), process it (step1), save the result (step2).

    Takes the query `status`. A row of workflow_status tells where the run is, and how it
    ended: completed, failed or cancelled. Rows of runs that were terminated or timed out,
    which run no code, are closed by the workers' reconciler.
    """

    def __init__(self) -> None:
        """Begin before the first step."""
        super().__init__()
        self._row_step = "init"

    @workflow.run
    async def run(self, request: TrackedInput) -> TrackedResult:
        """Work through the task; the row tells the end, whatever it is."""
        try:
            result = await self._to_deadline(request.deadline_s, self._work(request))
        except (Exception, asyncio.CancelledError) as error:
            status = "cancelled" if is_cancelled_exception(error) else "failed"
            row = StatusRow(status=status, step=self._row_step, error=self._error[:1000])
            with contextlib.suppress(ActivityError):  # the run's own failure is what counts
                await asyncio.shield(self._save_row(row, "row-closed"))
            raise
        return result

    async def _work(self, request: TrackedInput) -> TrackedResult:
        await self._enter("init")
        task = await self._validate(request.task_id)
        await self._enter("step1")
        done = await self._process(task, request.user_id or task.user_id)
        await self._enter("step2")
        await self._save_result(task.task_id, done.text)
        self._row_step = "complete"
        await self._save_row(StatusRow(status="completed", step="complete"), "row-complete")
        return TrackedResult(task_id=task.task_id, result=done.text, model=done.model)

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

    async def _validate(self, task_id: str) -> TaskRecord:
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

    async def _process(self, task: TaskRecord, user_id: str) -> GeneratedText:
        prompt = f"{task.title}\n\n{task.body}"
        with self.step("step1", task.title):
            done = await workflow.execute_activity_method(
                GenerationActivities.generate_text,
                GenerateInput(agent=AGENT, prompt=prompt, user_id=user_id),
                activity_id="step1",
                task_queue=queue_of(AGENT),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"process: {task.title}"[:200],
            )
        self.add_usage(done.usage)
        return done

    async def _save_result(self, task_id: str, text: str) -> None:
        with self.step("step2"):
            await workflow.execute_activity_method(
                RecordActivities.save_result,
                SaveResultInput(task_id=task_id, result=text),
                activity_id="step2",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the result",
            )
