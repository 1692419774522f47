"""Touches the records that flows keep: tasks, the rows of workflow_status, the errors."""

from temporalio import activity

from activities.call_site import step_of
from durable_agents.db import error_log, statuses, tasks
from durable_agents.db.engine import Database
from durable_agents.models.conversation import LoggedError
from durable_agents.models.process_task import UserTask
from durable_agents.models.tracked import StatusRow, TaskFacts


class RecordActivities:
    """Queries and mutations; each closes within 5 s and is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="validate_task")
    async def validate_task(self, task_id: str) -> TaskFacts:
        """Tell what history may know of a task; its text stays where it lies.

        Raises:
            NotFoundError: There is no such task.
        """
        async with self._database.statement() as connection:
            return await tasks.find_facts(connection, task_id)

    @activity.defn(name="validate_user_task")
    async def validate_user_task(self, request: UserTask) -> TaskFacts:
        """Tell what history may know of a task of a user.

        Raises:
            TaskValidationError: The user has no such task, or it says nothing to do.
        """
        async with self._database.statement() as connection:
            return await tasks.find_facts_of_user(
                connection, user_id=request.user_id, task_id=request.task_id
            )

    @activity.defn(name="save_status")
    async def save_status(self, row: StatusRow) -> None:
        """Bring this run's row of workflow_status up to date."""
        info = activity.info()
        async with self._database.statement() as connection:
            await statuses.save(
                connection,
                run_id=info.workflow_run_id or "",
                workflow_id=info.workflow_id or "",
                workflow_type=info.workflow_type or "",
                row=row,
            )

    @activity.defn(name="log_error")
    async def log_error(self, error: LoggedError) -> None:
        """Keep an error that a flow met."""
        step = step_of()
        async with self._database.statement() as connection:
            await error_log.log_error(
                connection,
                workflow_id=activity.info().workflow_id or "",
                run_id=step.run_id,
                step=step.step,
                error=error,
            )
