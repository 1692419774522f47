"""Let an agent work on a task, and a person approve the text or have it revised."""

from typing import Annotated

import typer

from durable_agents.models.review import DAY_S, ReviewInput, ReviewResult
from durable_agents.runtime.settings import Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import EXIT_NO_ANSWER, main_of, note, run, say

WORKFLOW = "ReviewWorkflow"


def review(
    task_id: Annotated[str, typer.Argument(help="A task of the table of tasks.")],
    max_revisions: Annotated[
        int, typer.Option(help="How often a rejected text is revised.", min=0)
    ] = 3,
    decision_deadline: Annotated[
        float, typer.Option(help="Seconds to wait for each decision.", min=0.1)
    ] = 3 * DAY_S,
    deadline: Deadline = 30 * DAY_S,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Let an agent work on a task, and a person approve the text or have it revised."""

    async def work(settings: Settings) -> None:
        request = ReviewInput(
            task_id=task_id,
            max_revisions=max_revisions,
            decision_deadline_s=decision_deadline,
            user_id=user,
            deadline_s=deadline,
        )
        flow = Flow(WORKFLOW, "review", f"review task {task_id}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        if not as_json:
            note("`durable-agents decide ID` shows the text that waits, and takes the decision.")
        result = await start_and_report(settings, flow, request, ReviewResult, options)
        if result is None:
            return
        if not as_json:
            show(result)
        if result.status != "approved":
            raise typer.Exit(EXIT_NO_ANSWER)

    run(work, as_json=as_json)


def show(result: ReviewResult) -> None:
    """Print how the review ended."""
    say(result.result)
    who = f" by {result.decided_by}" if result.decided_by else ""
    why = f": {result.feedback}" if result.feedback else ""
    note(f"Revision {result.revision} {result.status}{who}{why}")


if __name__ == "__main__":
    main_of(review)
