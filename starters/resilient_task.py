"""Work through a task although the agent that should do it fails: another one takes over."""

from typing import Annotated

import typer

from durable_agents.models.resilient_task import ResilientTaskInput, ResilientTaskResult
from durable_agents.runtime.settings import Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "ResilientTaskWorkflow"


def resilient_task(
    task_id: Annotated[str, typer.Argument(help="A task of the table of tasks.")],
    deadline: Deadline = 3600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Work through a task although the agent that should do it fails: another one takes over."""

    async def work(settings: Settings) -> None:
        request = ResilientTaskInput(task_id=task_id, user_id=user, deadline_s=deadline)
        flow = Flow(WORKFLOW, "resilient-task", f"task {task_id}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, ResilientTaskResult, options)
        if result is not None and not as_json:
            say(result.result)
            why = (
                f", because the primary agent failed: {result.error}" if result.is_fallback else ""
            )
            note(f"By {result.agent}{why}")

    run(work, as_json=as_json)


if __name__ == "__main__":
    main_of(resilient_task)
