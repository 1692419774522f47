"""Input, result and rows of `TrackedWorkflow`."""

from typing import Literal

from pydantic import Field

from durable_agents.models.base import Deadline, Record

RowStatus = Literal["running", "completed", "failed", "cancelled", "terminated", "timed_out"]


class TrackedInput(Record):
    """A task of the table of tasks."""

    task_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    user_id: str = ""
    deadline_s: Deadline = 600


class TrackedResult(Record):
    """What came of the task; `model` is the one that processed it."""

    task_id: str
    result: str
    model: str = ""


class StatusRow(Record):
    """One row of `workflow_status`: where a run is, kept by the run itself."""

    status: RowStatus
    step: str = ""
    error: str = ""


class TaskRecord(Record):
    """A task as the database holds it; `result` is there once a flow has saved one."""

    task_id: str
    user_id: str = ""
    title: str
    body: str
    status: str = "new"
    result: str | None = None


class SaveResultInput(Record):
    """What came of a task, to be saved with it."""

    task_id: str
    result: str
