"""Input, result and rows of `TrackedWorkflow`."""

from typing import Literal

from pydantic import Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import ONE_CALL_S

RowStatus = Literal["running", "completed", "failed", "cancelled", "terminated", "timed_out"]


class TrackedInput(Record):
    """A task of the table of tasks."""

    task_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    user_id: str = ""
    deadline_s: Deadline = ONE_CALL_S


class TrackedResult(Record):
    """What came of the task, of a long text the beginning; `model` is the one that processed it."""

    task_id: str
    result: str
    model: str = ""


class StatusRow(Record):
    """One row of `workflow_status`: where a run is, kept by the run itself."""

    status: RowStatus
    step: str = ""
    error: str = ""


class TaskFacts(Record):
    """What history learns of a task: whose it is, the beginning of its title, how long it is.

    The steps that work on it read its text, of `chars` characters, where it lies.
    """

    task_id: str
    user_id: str = ""
    title: str
    chars: int = 0
