"""Give an agent a task; it thinks, calls its tools, observes, and answers."""

from typing import Annotated

import typer

from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, Id, NoWait, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import EXIT_NO_ANSWER, err, main_of, out, run

WORKFLOW = "ReActWorkflow"


def react(
    task: Annotated[str, typer.Argument(help="What the agent shall do.")],
    agent: Annotated[str, typer.Option(help="Which agent of the catalogue.")] = "assistant",
    max_rounds: Annotated[int, typer.Option(help="Rounds of think and act at most.", min=1)] = 5,
    max_tokens: Annotated[int, typer.Option(help="Budget in tokens; 0 sets none.", min=0)] = 0,
    max_cost: Annotated[float, typer.Option(help="Budget in US dollars; 0: none.", min=0)] = 0,
    max_calls: Annotated[int, typer.Option(help="Budget in model calls; 0: none.", min=0)] = 0,
    thread: Annotated[int, typer.Option(help="Go on with this conversation.", min=0)] = 0,
    deadline: Deadline = 3600,
    user: User = "",
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Give an agent a task; it thinks, calls its tools, observes, and answers."""

    async def work(settings: Settings) -> None:
        request = ReActInput(
            task=task,
            agent=agent,
            user_id=user,
            thread=thread,
            max_rounds=max_rounds,
            max_tokens=max_tokens,
            max_cost_usd=max_cost,
            max_calls=max_calls,
            deadline_s=deadline,
        )
        flow = Flow(WORKFLOW, "react", f"{agent}: {task}", user)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, ReActResult, options)
        if result is None:
            return
        if not as_json:
            show(result)
        if result.stopped != "answered":
            raise typer.Exit(EXIT_NO_ANSWER)

    run(work)


def show(result: ReActResult) -> None:
    """Print the answer, and what it took."""
    out.print(result.answer, markup=False)
    calls = ", ".join(call.tool for call in result.tool_calls) or "no tool"
    used = result.usage
    model = f"{result.model} (the simulator, a stand-in)" if is_simulated(result) else result.model
    err.print(
        f"[dim]{result.rounds} rounds; {calls}; {used.input_tokens} + {used.output_tokens} tokens"
        f"{f'; {model}' if model else ''}; thread {result.thread}[/dim]"
    )


def is_simulated(result: ReActResult) -> bool:
    """Whether the simulator stood in for the model."""
    return result.model == SIMULATOR_MODEL


if __name__ == "__main__":
    main_of(react)
