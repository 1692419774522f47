"""Answer a customer; file a ticket when people have to act."""

from typing import Annotated

import typer

from durable_agents.models.support import SupportInput, SupportResult
from starters.flow_command import Given, Start, end_unless, flow_command
from starters.options import File, MaxCalls, MaxCost, MaxRounds, MaxTokens, text_of
from starters.phrases import model_of, tools_of
from starters.terminal import main_of, note, say


@flow_command("SupportWorkflow", deadline=3600)
def support(
    given: Given,
    issue: Annotated[
        str | None, typer.Argument(help="What the customer writes; `-` reads standard input.")
    ] = None,
    file: File = None,
    max_rounds: MaxRounds = 5,
    max_tokens: MaxTokens = 0,
    max_cost: MaxCost = 0,
    max_calls: MaxCalls = 0,
) -> Start[SupportResult]:
    """Answer a customer; file a ticket when people have to act."""
    text = text_of(issue, file, what="issue")
    request = SupportInput(
        issue=text,
        user_id=given.user,
        max_rounds=max_rounds,
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        max_calls=max_calls,
        deadline_s=given.deadline,
    )
    return Start(request, text, SupportResult, show, _finish)


def show(result: SupportResult) -> None:
    """Print the reply, and what became of it."""
    say(result.reply)
    note(told(result))


def _finish(result: SupportResult) -> None:
    end_unless(result.stopped == "answered")


def told(result: SupportResult) -> str:
    """What became of it, beside the reply."""
    ticket = f"ticket {result.ticket}, priority {result.priority}" if result.ticket else "no ticket"
    reason = result.reason.strip().rstrip(".") or "no reason given"
    model = f"; {model_of(result.model)}" if result.model else ""
    called = tools_of(result.tool_calls)
    return f"{ticket}: {reason}. Called {called}{model}; thread {result.thread}"


if __name__ == "__main__":
    main_of(support)
