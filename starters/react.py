"""Give an agent a task; it thinks, calls its tools, observes, and answers."""

from typing import Annotated

import typer

from durable_agents.models.react import ReActInput, ReActResult
from starters.flow_command import Given, Start, flow_command
from starters.options import File, MaxCalls, MaxCost, MaxRounds, MaxTokens, text_of
from starters.phrases import model_of, tokens_of, tools_of
from starters.terminal import EXIT_NO_ANSWER, fail, main_of, note, one_line, say

Task = Annotated[
    str | None, typer.Argument(help="What the agent shall do; `-` reads standard input.")
]


@flow_command("ReActWorkflow", deadline=3600)
def react(
    given: Given,
    task: Task = None,
    file: File = None,
    agent: Annotated[str, typer.Option(help="Which agent of the catalogue.")] = "assistant",
    max_rounds: MaxRounds = 5,
    max_tokens: MaxTokens = 0,
    max_cost: MaxCost = 0,
    max_calls: MaxCalls = 0,
    thread: Annotated[int, typer.Option(help="Go on with this conversation.", min=0)] = 0,
) -> Start[ReActResult]:
    """Give an agent a task; it thinks, calls its tools, observes, and answers."""
    text = text_of(task, file, what="task")
    request = ReActInput(
        task=text,
        agent=agent,
        user_id=given.user,
        thread=thread,
        max_rounds=max_rounds,
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        max_calls=max_calls,
        deadline_s=given.deadline,
    )
    return Start(request, f"{agent}: {text}", ReActResult, show, _finish)


def _finish(result: ReActResult) -> None:
    """End the command when what came of a run is no answer."""
    if result.stopped != "answered":
        fail(f"{_why(result)} Go on from there with --thread {result.thread}.", EXIT_NO_ANSWER)


def show(result: ReActResult) -> None:
    """Print the answer, and what it took."""
    say(result.answer)
    model = f"; {model_of(result.model)}" if result.model else ""
    note(
        f"{result.rounds} rounds; {tools_of(result.tool_calls)}; {tokens_of(result.usage)}{model}; "
        f"thread {result.thread}"
    )


def _why(result: ReActResult) -> str:
    """Why a run ended without an answer, and what to do."""
    if result.stopped == "budget":
        return f"The run ended without an answer: {one_line(result.answer)}"
    return (
        f"The run ended without an answer after {result.rounds} rounds: "
        "give it more with --max-rounds."
    )


if __name__ == "__main__":
    main_of(react)
