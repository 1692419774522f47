"""Let an agent work on a task, and a person approve the text or have it revised."""

from typing import Annotated

import typer

from durable_agents.models.review import DAY_S, ReviewInput, ReviewResult
from starters.flow_command import Given, Start, end_unless, flow_command
from starters.options import TaskId
from starters.terminal import main_of, note, say


@flow_command("ReviewWorkflow", deadline=30 * DAY_S)
def review(
    given: Given,
    task_id: TaskId,
    max_revisions: Annotated[
        int, typer.Option(help="How often a rejected text is revised.", min=0)
    ] = 3,
    decision_deadline: Annotated[
        float, typer.Option(help="Seconds to wait for each decision.", min=0.1)
    ] = 3 * DAY_S,
) -> Start[ReviewResult]:
    """Let an agent work on a task, and a person approve the text or have it revised."""
    request = ReviewInput(
        task_id=task_id,
        max_revisions=max_revisions,
        decision_deadline_s=decision_deadline,
        user_id=given.user,
        deadline_s=given.deadline,
    )
    if not given.as_json:
        note("`durable-agents decide ID` shows the text that waits, and takes the decision.")
    return Start(request, f"review task {task_id}", ReviewResult, show, _finish)


def show(result: ReviewResult) -> None:
    """Print how the review ended."""
    say(result.result)
    who = f" by {result.decided_by}" if result.decided_by else ""
    why = f": {result.feedback}" if result.feedback else ""
    note(f"Revision {result.revision} {result.status}{who}{why}")


def _finish(result: ReviewResult) -> None:
    end_unless(result.status == "approved")


if __name__ == "__main__":
    main_of(review)
