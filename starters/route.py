"""Route a message to the agent it is for, and let that one reply."""

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from durable_agents.models.route import RoutingInput, RoutingResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, File, Id, NoWait, PriorityKey, Tenant, User, text_of
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import EXIT_NO_ANSWER, main_of, note, run, say

WORKFLOW = "RoutingWorkflow"

Message = Annotated[
    str | None, typer.Argument(help="What somebody writes; `-` reads standard input.")
]


def route(
    message: Message = None,
    file: File = None,
    threshold: Annotated[
        float, typer.Option(help="Less sure than this goes to general.", min=0, max=1)
    ] = 0.6,
    max_rounds: Annotated[int, typer.Option(help="Rounds of think and act at most.", min=1)] = 5,
    deadline: Deadline = 3600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Route a message to the agent it is for, and let that one reply."""

    def begin(settings: Settings) -> Coroutine[Any, Any, None]:
        return work(settings, text_of(message, file, what="message"))

    async def work(settings: Settings, text: str) -> None:
        request = RoutingInput(
            message=text,
            user_id=user,
            threshold=threshold,
            max_rounds=max_rounds,
            deadline_s=deadline,
        )
        flow = Flow(WORKFLOW, "route", text, user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, RoutingResult, options)
        if result is None:
            return
        if not as_json:
            say(result.reply)
            note(told(result))
        if result.stopped != "answered":
            raise typer.Exit(EXIT_NO_ANSWER)

    run(begin, as_json=as_json)


def told(result: RoutingResult) -> str:
    """Where the message went, beside the reply."""
    sure = f"{result.classified_as} with confidence {result.confidence:g}"
    calls = ", ".join(call.tool for call in result.tool_calls) or "no tool"
    simulated = " (the simulator, a stand-in)" if result.model == SIMULATOR_MODEL else ""
    model = f"; {result.model}{simulated}" if result.model else ""
    return f"to {result.intent} ({sure}); {calls}{model}; thread {result.thread}"


if __name__ == "__main__":
    main_of(route)
