"""Answer a customer; file a ticket when people have to act."""

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from durable_agents.models.support import SupportInput, SupportResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, File, Id, NoWait, PriorityKey, Tenant, User, text_of
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import EXIT_NO_ANSWER, main_of, note, run, say

WORKFLOW = "SupportWorkflow"


def support(
    issue: Annotated[
        str | None, typer.Argument(help="What the customer writes; `-` reads standard input.")
    ] = None,
    file: File = None,
    max_rounds: Annotated[int, typer.Option(help="Rounds of think and act at most.", min=1)] = 5,
    deadline: Deadline = 3600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Answer a customer; file a ticket when people have to act."""

    def begin(settings: Settings) -> Coroutine[Any, Any, None]:
        return work(settings, text_of(issue, file, what="issue"))

    async def work(settings: Settings, text: str) -> None:
        request = SupportInput(issue=text, user_id=user, max_rounds=max_rounds, deadline_s=deadline)
        flow = Flow(WORKFLOW, "support", text, user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, SupportResult, options)
        if result is None:
            return
        if not as_json:
            say(result.reply)
            note(told(result))
        if result.stopped != "answered":
            raise typer.Exit(EXIT_NO_ANSWER)

    run(begin, as_json=as_json)


def told(result: SupportResult) -> str:
    """What became of it, beside the reply."""
    ticket = f"ticket {result.ticket}, priority {result.priority}" if result.ticket else "no ticket"
    calls = ", ".join(call.tool for call in result.tool_calls) or "no tool"
    simulated = " (the simulator, a stand-in)" if result.model == SIMULATOR_MODEL else ""
    model = f"; {result.model}{simulated}" if result.model else ""
    return f"{ticket}: {result.reason} {calls}{model}; thread {result.thread}"


if __name__ == "__main__":
    main_of(support)
