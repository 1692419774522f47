"""Find out how a document feels, what it is about, and what it says."""

from typing import Annotated

import typer

from durable_agents.models.analyze_document import DocumentAnalysisInput, DocumentAnalysisResult
from starters.flow_command import Given, Start, flow_command
from starters.options import MaxCalls, MaxCost, MaxTokens
from starters.phrases import model_of, tokens_of
from starters.terminal import main_of, note, say


@flow_command("DocumentAnalysisWorkflow", deadline=3600)
def analyze_document(
    given: Given,
    document_id: Annotated[str, typer.Argument(help="A document of the knowledge base.")],
    partial: Annotated[
        bool, typer.Option("--partial", help="Go without what fails: the result says so.")
    ] = False,
    max_tokens: MaxTokens = 0,
    max_cost: MaxCost = 0,
    max_calls: MaxCalls = 0,
) -> Start[DocumentAnalysisResult]:
    """Find out how a document feels, what it is about, and what it says."""
    request = DocumentAnalysisInput(
        document_id=document_id,
        allow_partial=partial,
        user_id=given.user,
        deadline_s=given.deadline,
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        max_calls=max_calls,
    )
    return Start(request, f"analyse {document_id}", DocumentAnalysisResult, show)


def show(result: DocumentAnalysisResult) -> None:
    """Print what was found, what is missing, and what it took."""
    if result.sentiment:
        say(f"Sentiment: {result.sentiment} ({result.score:+.2f})")
    if result.topics:
        say(f"Topics: {', '.join(result.topics)}")
    if result.summary:
        say(f"Summary: {result.summary}")
    for missing in result.missing:
        note(f"Partial: no {missing.branch}, because: {missing.reason}", "yellow")
    sections = "1 section" if result.sections == 1 else f"{result.sections} sections"
    note(
        f"{result.title}: {result.chars:,} characters in {sections}; "
        f"{tokens_of(result.usage)}; {model_of(result.model)}"
    )


if __name__ == "__main__":
    main_of(analyze_document)
