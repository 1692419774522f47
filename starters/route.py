"""Route a message to the agent it is for, and let that one reply."""

from typing import Annotated

import typer

from durable_agents.models.route import RoutingInput, RoutingResult
from starters.flow_command import Given, Start, end_unless, flow_command
from starters.options import File, MaxCalls, MaxCost, MaxRounds, MaxTokens, text_of
from starters.phrases import model_of, tools_of
from starters.terminal import main_of, note, say


@flow_command("RoutingWorkflow", deadline=3600)
def route(
    given: Given,
    message: Annotated[
        str | None, typer.Argument(help="What somebody writes; `-` reads standard input.")
    ] = None,
    file: File = None,
    threshold: Annotated[
        float, typer.Option(help="Less sure than this goes to general.", min=0, max=1)
    ] = 0.6,
    max_rounds: MaxRounds = 5,
    max_tokens: MaxTokens = 0,
    max_cost: MaxCost = 0,
    max_calls: MaxCalls = 0,
) -> Start[RoutingResult]:
    """Route a message to the agent it is for, and let that one reply."""
    text = text_of(message, file, what="message")
    request = RoutingInput(
        message=text,
        user_id=given.user,
        threshold=threshold,
        max_rounds=max_rounds,
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        max_calls=max_calls,
        deadline_s=given.deadline,
    )
    return Start(request, text, RoutingResult, show, _finish)


def show(result: RoutingResult) -> None:
    """Print the reply, and where the message went."""
    say(result.reply)
    note(told(result))


def _finish(result: RoutingResult) -> None:
    end_unless(result.stopped == "answered")


def told(result: RoutingResult) -> str:
    """Where the message went, beside the reply."""
    sure = f"{result.classified_as} with confidence {result.confidence:g}"
    model = f"; {model_of(result.model)}" if result.model else ""
    return (
        f"to {result.intent} ({sure}); {tools_of(result.tool_calls)}{model}; thread {result.thread}"
    )


if __name__ == "__main__":
    main_of(route)
