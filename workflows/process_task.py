"""F4: process a user's task, save what came of it, and tell the user."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.generation import GenerationActivities
    from activities.records import RecordActivities
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.conversation import GeneratedText, GenerateInput
    from durable_agents.models.errors import ModelOutputError
    from durable_agents.models.notifications import NotifyOutcome
    from durable_agents.models.process_task import TaskInput, TaskResult, UserTask
    from durable_agents.models.tracked import SaveResultInput, TaskRecord
    from workflows import policies
    from workflows.flow import Flow
    from workflows.notifying import NOTIFY_IN_ALL, notify

AGENT = "task_worker"
TOLD = "Task processing complete"
SPARE = timedelta(seconds=1)  # left of the deadline, so that a result is not lost to telling it


@workflow.defn
class TaskWorkflow(Flow):
    """Process a task: validate it, let the model work, save the result, notify the user.

    Takes the query `status`. Ends with the result; fails when the task is not the user's, when
    the model stays out of reach or says nothing, or at its deadline. A notification that fails
    is told in the result and undoes nothing.
    """

    @workflow.run
    async def run(self, request: TaskInput) -> TaskResult:
        """Process the task within the deadline."""
        return await self._to_deadline(request.deadline_s, self._work(request))

    async def _work(self, request: TaskInput) -> TaskResult:
        task = await self._validate(request)
        done = await self._process(task, request.user_id)
        await self._save(task.task_id, done.text)
        told = await self._notify(task, request)
        return TaskResult(
            task_id=task.task_id,
            result=done.text,
            notification=told.status,
            notification_error=told.error,
            model=done.model,
            usage=done.usage,
        )

    async def _validate(self, request: TaskInput) -> TaskRecord:
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

    async def _process(self, task: TaskRecord, user_id: str) -> GeneratedText:
        with self.step("process with model", task.title):
            done = await workflow.execute_activity_method(
                GenerationActivities.generate_text,
                GenerateInput(agent=AGENT, prompt=f"{task.title}\n\n{task.body}", user_id=user_id),
                activity_id="process",
                task_queue=queue_of(AGENT),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"process: {task.title}"[:200],
            )
        self.add_usage(done.usage)
        if not done.text:
            raise ModelOutputError(
                f"The model said nothing about task {task.task_id}. Start it again, or say in "
                "the task what is wanted."
            )
        return done

    async def _save(self, task_id: str, text: str) -> None:
        with self.step("save results"):
            await workflow.execute_activity_method(
                RecordActivities.save_result,
                SaveResultInput(task_id=task_id, result=text),
                activity_id="save-results",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the results",
            )

    async def _notify(self, task: TaskRecord, request: TaskInput) -> NotifyOutcome:
        """Tell the user, in what is left of the deadline."""
        passed = workflow.now() - workflow.info().start_time
        left = timedelta(seconds=request.deadline_s) - passed - SPARE
        within = min(NOTIFY_IN_ALL, max(left, SPARE))
        with self.step("notify user", request.user_id):
            body = f"{task.title} ({task.task_id})"
            return await notify(request.user_id, TOLD, body, step="notify-user", within=within)
