"""Find out how a document feels, what it is about, and what it says."""

from typing import Annotated

import typer

from durable_agents.models.analyze_document import DocumentAnalysisInput, DocumentAnalysisResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "DocumentAnalysisWorkflow"


def analyze_document(
    document_id: Annotated[str, typer.Argument(help="A document of the knowledge base.")],
    partial: Annotated[
        bool, typer.Option("--partial", help="Go without what fails: the result says so.")
    ] = False,
    deadline: Deadline = 3600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Find out how a document feels, what it is about, and what it says."""

    async def work(settings: Settings) -> None:
        request = DocumentAnalysisInput(
            document_id=document_id, allow_partial=partial, user_id=user, deadline_s=deadline
        )
        flow = Flow(WORKFLOW, "analyze-document", f"analyse {document_id}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, DocumentAnalysisResult, options)
        if result is not None and not as_json:
            show(result)

    run(work, as_json=as_json)


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
    used = result.usage
    stand_in = " (the simulator, a stand-in)" if result.model == SIMULATOR_MODEL else ""
    note(
        f"{result.title}: {result.chars:,} characters in {result.sections} sections; "
        f"{used.input_tokens} + {used.output_tokens} tokens; {result.model}{stand_in}"
    )


if __name__ == "__main__":
    main_of(analyze_document)
