"""Process a task of a user, save the result, and tell the user."""

from typing import Annotated

import typer

from durable_agents.models.process_task import TaskInput, TaskResult
from starters.flow_command import Given, Start, flow_command
from starters.options import TaskId
from starters.phrases import simulated
from starters.terminal import main_of, note, say

TOLD = {
    "sent": "The user was notified.",
    "kept": "The notification is in the outbox; set NOTIFY_URLS to have such sent.",
    "failed": "The user was not notified.",
    "uncertain": "Whether the user was notified is not known.",
}


@flow_command("TaskWorkflow", deadline=600)
def process_task(
    given: Given,
    task_id: TaskId,
    user: Annotated[str, typer.Option("--user", help="The user whose task it is.")],
) -> Start[TaskResult]:
    """Process a task of a user, save the result, and tell the user."""
    request = TaskInput(user_id=user, task_id=task_id, deadline_s=given.deadline)
    return Start(request, f"task {task_id}", TaskResult, show)


def show(result: TaskResult) -> None:
    """Print the result, and whether the user knows of it."""
    say(result.result)
    told = f"{TOLD[result.notification]} {result.notification_error}".rstrip()
    note(f"{told}{simulated(result.model)}")


if __name__ == "__main__":
    main_of(process_task)
