"""What a saga tells of itself, and what a person may decide about a stuck compensation."""

from pydantic import Field

from durable_agents.models.base import Record


class CompensationDecision(Record):
    """Signalled by a person: who decides, and why. To abandon needs a reason."""

    reason: str = Field(default="", max_length=2000)
    by: str = Field(default="", max_length=200)


class AbandonedCompensation(Record):
    """A compensation that a person gave up: what stays undone, who decided so, and why."""

    step: str
    reason: str
    by: str = ""
    error: str = ""


class SagaOutcome(Record):
    """What a run did, what of it was undone (in that order), and what a person gave up."""

    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    abandoned: tuple[AbandonedCompensation, ...] = ()
