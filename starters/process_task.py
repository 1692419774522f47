"""Process a task of a user, save the result, and tell the user."""

from typing import Annotated

import typer

from durable_agents.models.process_task import TaskInput, TaskResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "TaskWorkflow"
TOLD = {
    "sent": "The user was notified.",
    "kept": "The notification is in the outbox; set NOTIFY_URLS to have such sent.",
    "failed": "The user was not notified.",
    "uncertain": "Whether the user was notified is not known.",
}


def process_task(
    task_id: Annotated[str, typer.Argument(help="A task of the table of tasks.")],
    user: Annotated[str, typer.Option("--user", help="The user whose task it is.")],
    deadline: Deadline = 600,
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Process a task of a user, save the result, and tell the user."""

    async def work(settings: Settings) -> None:
        request = TaskInput(user_id=user, task_id=task_id, deadline_s=deadline)
        flow = Flow(WORKFLOW, "process-task", f"task {task_id}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, TaskResult, options)
        if result is not None and not as_json:
            say(result.result)
            stand_in = " (simulated)" if result.model == SIMULATOR_MODEL else ""
            told = f"{TOLD[result.notification]} {result.notification_error}".rstrip()
            note(f"{told}{stand_in}")

    run(work, as_json=as_json)


if __name__ == "__main__":
    main_of(process_task)
