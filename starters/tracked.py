"""Work through a task step by step; a row of workflow_status keeps pace."""

from typing import Annotated

import typer

from durable_agents.models.tracked import TrackedInput, TrackedResult
from durable_agents.runtime.settings import Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, run, say

WORKFLOW = "TrackedWorkflow"


def tracked(
    task_id: Annotated[str, typer.Argument(help="A task of the table of tasks.")],
    deadline: Deadline = 600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Work through a task step by step; a row of workflow_status keeps pace."""

    async def work(settings: Settings) -> None:
        request = TrackedInput(task_id=task_id, user_id=user, deadline_s=deadline)
        flow = Flow(WORKFLOW, "tracked", f"task {task_id}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, TrackedResult, options)
        if result is not None and not as_json:
            say(result.result)

    run(work, as_json=as_json)


if __name__ == "__main__":
    main_of(tracked)
