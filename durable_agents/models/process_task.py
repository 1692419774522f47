"""Input and result of `TaskWorkflow`."""

from pydantic import Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import ONE_CALL_S
from durable_agents.models.notifications import NotificationStatus
from durable_agents.models.status import Usage


class UserTask(Record):
    """A task of the table of tasks, and the user whose it is."""

    user_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    task_id: str = Field(min_length=1, max_length=200, pattern=r"\S")


class TaskInput(UserTask):
    """Whose task to process. A task that is done already is processed anew."""

    deadline_s: Deadline = ONE_CALL_S


class TaskResult(Record):
    """What came of the task, and whether the user was told.

    `notification_error` says why telling failed, or why nobody knows whether it did.
    """

    task_id: str
    result: str
    notification: NotificationStatus
    notification_error: str = ""
    model: str = ""
    usage: Usage = Usage()
