"""What a saga tells of itself, and what a person may decide about a stuck compensation."""

from pydantic import Field

from durable_agents.models.base import Record


class CompensationDecision(Record):
    """Signalled by a person: who decides, and why. To abandon needs a reason.

    `step` is the one that is meant: when another is stuck by then, the message is dropped.
    Empty: whichever is stuck.
    """

    reason: str = Field(default="", max_length=2000)
    by: str = Field(default="", max_length=200)
    step: str = Field(default="", max_length=200)


class StuckCompensation(Record):
    """A compensation that waits for a person: the step that it undoes, and why it fails."""

    step: str
    error: str


class CompensationState(Record):
    """What waits for a person now, and how many messages were taken and dropped so far.

    `note` says what became of the latest one.
    """

    stuck: StuckCompensation | None = None
    taken: int = 0
    dropped: int = 0
    note: str = ""


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
