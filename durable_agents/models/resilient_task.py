"""Input and result of `ResilientTaskWorkflow`."""

from pydantic import Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import SEVERAL_CALLS_S
from durable_agents.models.status import Usage


class ResilientTaskInput(Record):
    """A task of the table of tasks."""

    task_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    user_id: str = ""
    deadline_s: Deadline = SEVERAL_CALLS_S


class ResilientTaskResult(Record):
    """What came of the task.

    `is_fallback` tells that the fallback agent did it; `error` is then why the primary one
    failed. `agent` and `model` are those that wrote the result.
    """

    task_id: str
    result: str
    is_fallback: bool = False
    error: str = ""
    agent: str = ""
    model: str = ""
    usage: Usage = Usage()
