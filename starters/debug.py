"""Take two small steps on some numbers, to see in the workers' log how a run is logged."""

from typing import Annotated

import typer

from durable_agents.models.debug import DebugInput, DebugResult
from starters.flow_command import Given, Start, flow_command
from starters.terminal import main_of, note, say

Pause = Annotated[float, typer.Option("--pause", help="Seconds between the two steps.", min=0)]


@flow_command("DebugWorkflow", deadline=600)
def debug(
    given: Given,
    values: Annotated[list[float], typer.Argument(help="Numbers.")],
    pause: Pause = 0,
) -> Start[DebugResult]:
    """Take two small steps on some numbers, to see in the workers' log how a run is logged."""
    request = DebugInput(
        values=tuple(values), pause_s=pause, deadline_s=given.deadline, user_id=given.user
    )
    return Start(request, f"{len(values)} values", DebugResult, show)


def show(result: DebugResult) -> None:
    """Print what the steps found, and where to look."""
    say(f"{result.count} values, total {result.total:g}, mean {result.mean:g}")
    note("The workers' log has a line before, between and after (if LOG_LEVEL=INFO).")


if __name__ == "__main__":
    main_of(debug)
