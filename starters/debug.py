"""Take two small steps on some numbers, to see in the workers' log how a run is logged."""

from typing import Annotated

import typer

from durable_agents.models.debug import DebugInput, DebugResult
from durable_agents.runtime.settings import Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "DebugWorkflow"

Pause = Annotated[float, typer.Option("--pause", help="Seconds between the two steps.", min=0)]


def debug(
    values: Annotated[list[float], typer.Argument(help="Numbers.")],
    pause: Pause = 0,
    deadline: Deadline = 600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Take two small steps on some numbers, to see in the workers' log how a run is logged."""

    async def work(settings: Settings) -> None:
        request = DebugInput(values=tuple(values), pause_s=pause, deadline_s=deadline, user_id=user)
        flow = Flow(WORKFLOW, "debug", f"{len(values)} values", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, DebugResult, options)
        if result is not None and not as_json:
            say(f"{result.count} values, total {result.total:g}, mean {result.mean:g}")
            note("The workers' log has a line before, between and after (if LOG_LEVEL=INFO).")

    run(work, as_json=as_json)


if __name__ == "__main__":
    main_of(debug)
