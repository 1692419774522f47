"""Research a question until the report is sure enough."""

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from durable_agents.models.research import ResearchInput, ResearchResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, File, Id, NoWait, PriorityKey, Tenant, User, text_of
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "ResearchWorkflow"

Query = Annotated[str | None, typer.Argument(help="The question; `-` reads standard input.")]
Threshold = Annotated[float, typer.Option(help="The confidence that suffices.", min=0, max=1)]


def research(
    query: Query = None,
    file: File = None,
    max_rounds: Annotated[int, typer.Option(help="Refinements at most.", min=0, max=20)] = 3,
    threshold: Threshold = 0.8,
    max_tokens: Annotated[int, typer.Option(help="Budget in tokens; 0 sets none.", min=0)] = 0,
    max_cost: Annotated[float, typer.Option(help="Budget in US dollars; 0: none.", min=0)] = 0,
    max_calls: Annotated[int, typer.Option(help="Budget in model calls; 0: none.", min=0)] = 0,
    deadline: Deadline = 3600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Research a question until the report is sure enough."""

    def begin(settings: Settings) -> Coroutine[Any, Any, None]:
        return work(settings, text_of(query, file, what="question"))

    async def work(settings: Settings, text: str) -> None:
        request = ResearchInput(
            query=text,
            max_rounds=max_rounds,
            threshold=threshold,
            user_id=user,
            deadline_s=deadline,
            max_tokens=max_tokens,
            max_cost_usd=max_cost,
            max_calls=max_calls,
        )
        flow = Flow(WORKFLOW, "research", text, user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, ResearchResult, options)
        if result is not None and not as_json:
            show(result)

    run(begin, as_json=as_json)


def show(result: ResearchResult) -> None:
    """Print the report, how sure it is, and what it took."""
    say(result.report)
    if result.report_chars > len(result.report):
        note(f"The table of reports has all {result.report_chars:,} characters.")
    for question in result.unanswered:
        note(f"Not answered: {question}", "yellow")
    if result.sources:
        note(f"Sources: {'; '.join(result.sources)}")
    used = result.usage
    stand_in = " (the simulator, a stand-in)" if result.model == SIMULATOR_MODEL else ""
    note(
        f"Confidence {result.confidence:.2f} after {result.rounds} refinements "
        f"({result.stopped.replace('_', ' ')}); {len(result.sub_questions)} sub-questions; "
        f"{used.input_tokens} + {used.output_tokens} tokens; {result.model}{stand_in}"
    )


if __name__ == "__main__":
    main_of(research)
