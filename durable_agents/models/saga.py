"""What a saga tells of itself, and what a person may decide about a stuck compensation."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from durable_agents.models.base import Record

Verdict = Literal["retry", "abandon"]

ABANDONED = "CompensationAbandoned"
"""What the table of errors calls a compensation that a person gave up."""


class CompensationDecision(Record):
    """Given by a person: who decides, and why. To abandon needs a reason.

    `step` is the one that is meant, `attempt` how often it had been tried when the person looked:
    when another is stuck by then, or somebody had it tried again, the decision is not taken.
    Empty and 0: whichever is stuck.
    """

    reason: str = Field(default="", max_length=2000)
    by: str = Field(default="", max_length=200)
    step: str = Field(default="", max_length=200)
    attempt: int = 0


class CompensationVerdict(CompensationDecision):
    """What the update `decide_compensation` takes."""

    verdict: Verdict


class TakenVerdict(Record):
    """A decision that counts: on which step, whose, and when the run took it."""

    step: str
    attempt: int
    verdict: Verdict
    at: datetime
    by: str = ""
    reason: str = ""

    def sentence(self) -> str:
        """Say who decided what."""
        what = "retried" if self.verdict == "retry" else "given up"
        why = f": {self.reason}" if self.reason else ""
        return f"the compensation of the step {self.step!r} was {what} by {self.who}{why}"

    @property
    def who(self) -> str:
        """Who decided."""
        return self.by or "somebody"


class StuckCompensation(Record):
    """A compensation that waits for a person: the step that it undoes, and why it fails.

    `attempt` counts how often it was tried.
    """

    step: str
    error: str
    attempt: int = 1


class CompensationState(Record):
    """What waits for a person now, and how many messages were taken and dropped so far.

    `note` says what became of the latest one, `latest` which decision counted last.
    """

    stuck: StuckCompensation | None = None
    taken: int = 0
    dropped: int = 0
    note: str = ""
    latest: TakenVerdict | None = None


class AbandonedCompensation(Record):
    """A compensation that a person gave up: what stays undone, who decided so, and why."""

    step: str
    reason: str
    by: str = ""
    error: str = ""


class Undone(Record):
    """Whether a step stands undone, by this run or before; `note` is for a person to read."""

    happened: bool = False
    note: str = ""


class SagaOutcome(Record):
    """What a run did, what of it stands undone (in that order), and what a person gave up.

    `notes` are for a person to read: what another run had undone before, or keeps. `open` are the
    steps, also those under way, that the run would undo if it ended now.
    """

    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    abandoned: tuple[AbandonedCompensation, ...] = ()
    notes: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
