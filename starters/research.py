"""Research a question until the report is sure enough."""

from typing import Annotated

import typer

from durable_agents.models.research import ResearchInput, ResearchResult, ResearchStop
from starters.flow_command import Given, Start, end_unless, flow_command
from starters.options import File, MaxCalls, MaxCost, MaxTokens, text_of
from starters.phrases import model_of, tokens_of
from starters.terminal import main_of, note, say

STOPPED: dict[ResearchStop, str] = {
    "confident": "confident",
    "max_rounds": "out of rounds",
    "budget": "the budget ended",
    "failed": "a step failed",
}


@flow_command("ResearchWorkflow", deadline=3600)
def research(
    given: Given,
    query: Annotated[
        str | None, typer.Argument(help="The question; `-` reads standard input.")
    ] = None,
    file: File = None,
    max_rounds: Annotated[int, typer.Option(help="Refinements at most.", min=0, max=20)] = 3,
    threshold: Annotated[
        float, typer.Option(help="The confidence that suffices.", min=0, max=1)
    ] = 0.8,
    max_tokens: MaxTokens = 0,
    max_cost: MaxCost = 0,
    max_calls: MaxCalls = 0,
) -> Start[ResearchResult]:
    """Research a question until the report is sure enough; 3 is its exit code without a report."""
    text = text_of(query, file, what="question")
    request = ResearchInput(
        query=text,
        max_rounds=max_rounds,
        threshold=threshold,
        user_id=given.user,
        deadline_s=given.deadline,
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        max_calls=max_calls,
    )
    return Start(request, text, ResearchResult, show, finish=finish)


def show(result: ResearchResult) -> None:
    """Print the report, how sure it is, and what it took."""
    say(result.report)
    if result.report_chars > len(result.report):
        note(f"The table of reports has all {result.report_chars:,} characters.")
    for question in result.unanswered:
        note(f"Not answered: {question}", "yellow")
    if result.failure:
        note(f"Ended early: {result.failure}", "yellow")
    if result.sources:
        note(f"Sources: {'; '.join(result.sources)}")
    sure = f"Confidence {result.confidence:.2f}" if result.evaluated else "Not evaluated"
    note(
        f"{sure} after {_counted(result.rounds, 'refinement')} "
        f"({STOPPED[result.stopped]}); {_counted(len(result.sub_questions), 'sub-question')}; "
        f"{tokens_of(result.usage)}; {model_of(result.model)}"
    )


def finish(result: ResearchResult) -> None:
    """End with the code of a run without an answer when findings stand in for the report."""
    end_unless(result.written)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    main_of(research)
