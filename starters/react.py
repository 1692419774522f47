"""Give an agent a task; it thinks, calls its tools, observes, and answers."""

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, File, Id, NoWait, PriorityKey, Tenant, User, text_of
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import EXIT_NO_ANSWER, fail, main_of, note, one_line, run, say

WORKFLOW = "ReActWorkflow"

Task = Annotated[
    str | None, typer.Argument(help="What the agent shall do; `-` reads standard input.")
]


def react(
    task: Task = None,
    file: File = None,
    agent: Annotated[str, typer.Option(help="Which agent of the catalogue.")] = "assistant",
    max_rounds: Annotated[int, typer.Option(help="Rounds of think and act at most.", min=1)] = 5,
    max_tokens: Annotated[int, typer.Option(help="Budget in tokens; 0 sets none.", min=0)] = 0,
    max_cost: Annotated[float, typer.Option(help="Budget in US dollars; 0: none.", min=0)] = 0,
    max_calls: Annotated[int, typer.Option(help="Budget in model calls; 0: none.", min=0)] = 0,
    thread: Annotated[int, typer.Option(help="Go on with this conversation.", min=0)] = 0,
    deadline: Deadline = 3600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Give an agent a task; it thinks, calls its tools, observes, and answers."""

    def begin(settings: Settings) -> Coroutine[Any, Any, None]:
        return work(settings, text_of(task, file, what="task"))

    async def work(settings: Settings, text: str) -> None:
        request = ReActInput(
            task=text,
            agent=agent,
            user_id=user,
            thread=thread,
            max_rounds=max_rounds,
            max_tokens=max_tokens,
            max_cost_usd=max_cost,
            max_calls=max_calls,
            deadline_s=deadline,
        )
        flow = Flow(WORKFLOW, "react", f"{agent}: {text}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, ReActResult, options)
        if result is not None:
            _tell(result, as_json=as_json)

    run(begin, as_json=as_json)


def _tell(result: ReActResult, *, as_json: bool) -> None:
    """Print what came of a run; end the command when that is no answer."""
    if not as_json:
        show(result)
    if result.stopped != "answered":
        fail(f"{_why(result)} Go on from there with --thread {result.thread}.", EXIT_NO_ANSWER)


def show(result: ReActResult) -> None:
    """Print the answer, and what it took."""
    say(result.answer)
    calls = ", ".join(call.tool for call in result.tool_calls) or "no tool"
    used = result.usage
    model = f"{result.model} (the simulator, a stand-in)" if is_simulated(result) else result.model
    note(
        f"{result.rounds} rounds; {calls}; {used.input_tokens} + {used.output_tokens} tokens"
        f"{f'; {model}' if model else ''}; thread {result.thread}"
    )


def _why(result: ReActResult) -> str:
    """Why a run ended without an answer, and what to do."""
    if result.stopped == "budget":
        return f"The run ended without an answer: {one_line(result.answer)}"
    return (
        f"The run ended without an answer after {result.rounds} rounds: "
        "give it more with --max-rounds."
    )


def is_simulated(result: ReActResult) -> bool:
    """Whether the simulator stood in for the model."""
    return result.model == SIMULATOR_MODEL


if __name__ == "__main__":
    main_of(react)
