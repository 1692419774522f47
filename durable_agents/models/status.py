"""What the query `status` of every workflow answers, and what usage is counted in."""

from typing import Literal

from durable_agents.models.base import Record

State = Literal["running", "completed", "failed", "cancelled"]
Phase = Literal["running", "waiting_for_approval", "compensating", "ended"]
"""What a run is about; `ended` when it does nothing any more, however it ended (see `State`)."""


class Usage(Record):
    """What model calls cost: tokens in and out, US dollars (0 when the price is unknown), calls."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    calls: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Add two usages up."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            calls=self.calls + other.calls,
        )


class Progress(Record):
    """How many parts of a run's work stand where."""

    done: int = 0
    failed: int = 0
    cancelled: int = 0
    left: int = 0


class RunStatus(Record):
    """Where a run is.

    `steps` names the latest finished steps, oldest first, at most 50; `steps_done` counts all of
    them over the whole chain of runs. `waiting_for` says who or what a run waits for, `note`
    what became of the latest message that changed nothing, or what went otherwise than planned.
    `progress` is there where the work has parts that are counted.
    """

    state: State = "running"
    phase: Phase = "running"
    step: str = ""
    steps: tuple[str, ...] = ()
    steps_done: int = 0
    waiting_for: str = ""
    note: str = ""
    error: str = ""
    usage: Usage = Usage()
    progress: Progress | None = None
