"""Decisions on their way to a request: read, judged as far as that needs no look-up, told."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from durable_agents.models.approval import (
        MAX_EDIT_CHARS,
        MAX_FEEDBACK_CHARS,
        MAX_NAME_CHARS,
        MAX_SIGNATURE_CHARS,
        Decision,
        DecisionCheck,
        PendingApproval,
        RequestApprovalInput,
        RequestedApproval,
        TakenDecision,
        TriedDecision,
    )
    from durable_agents.models.errors import DecisionRefusedError

KEPT_CHARS = 500  # of the feedback of a decision that does not count

_NO_FIT = "It is no JSON object with verdict (approve, reject or edit), digest, by and feedback:"
_NO_DIGEST = "It does not say which text was read. Give the digest of the one that waits: {0}."
_STALE = "It is about another text (digest {0}) than the one that waits ({1}). Read that one."
_NO_FEEDBACK = "A rejection needs feedback: say what to change."
_LONG = "Its {0} is {1:,} characters long; at most {2:,} are taken."
_LONG_EDIT = "Its edit is {0:,} characters long; store one of more than {1:,} and name its edit_id."
_NO_EDIT = "An edit needs the new text, or the new arguments as JSON, in `edit`."
_STRAY_EDIT = "It carries an edit, but its verdict is {0}. To have the edit taken, let it be edit."
_OWN = "{0} asked for this, and somebody else has to decide on it."
_NAMELESS = "It does not say who decides, and somebody else than {0} has to."
_UNSIGNED = "Only a signed decision counts here: make it on the reviewers' page, or with a token."
_SEVERAL = "{0} people have to approve the same content, so it cannot be edited. Reject it instead."
_TWICE = "{0} has approved this already; {1} more have to."

NOTHING = PendingApproval(subject="", digest="")
UNREQUESTED = RequestedApproval(request_id=0, digest="")

Mark = Literal["reminded", "escalated"]

_CHARS = {"feedback": MAX_FEEDBACK_CHARS, "by": MAX_NAME_CHARS, "signature": MAX_SIGNATURE_CHARS}


@dataclass(eq=False)
class Given:
    """A decision that came, and what became of it: taken, or refused with the reason."""

    decision: Decision
    via: str
    taken: TakenDecision | None = None
    refusal: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.taken is not None or bool(self.refusal)


@dataclass(eq=False)
class Wait:
    """A request that waits, the decisions that came for it, and how it ends.

    Attributes:
        asked: What is asked.
        label: Names the wait in the status.
        closes_at: The end of the wait, in seconds since 1970.
        epoch: How often the run had been reset when the request was made.
        pending: What waits, once the request is made and the wait `is_open`.
        given: Decisions to be judged.
        unwritten: Decisions to be written down.
        tried: How many decisions reached the request.
        escalated: Whether others may decide as well.
        settled: Whether its end is written down.
        again: How many requests of this wait resets have made void.
        all_verified: Whether every approval so far was.
        over: Why nobody can decide any more although the wait has not ended.
    """

    asked: RequestApprovalInput
    label: str
    closes_at: float
    epoch: int
    pending: PendingApproval = NOTHING
    requested: RequestedApproval = UNREQUESTED
    is_open: bool = False
    given: deque[Given] = field(default_factory=deque[Given])
    unwritten: list[TriedDecision] = field(default_factory=list[TriedDecision])
    tried: int = 0
    escalated: bool = False
    settled: bool = False
    again: int = 0
    all_verified: bool = True
    over: str = ""

    @property
    def place(self) -> str:
        """What the activities of this wait are named by."""
        return f"{self.asked.step}-again-{self.again}" if self.again else self.asked.step

    def note(self, one: Given, check: DecisionCheck, at: datetime) -> None:
        """Have a decision written down, with what became of it."""
        self.tried += 1
        decision, counted = one.decision, one.taken is not None
        tried = TriedDecision(
            verdict=decision.verdict,
            by=decision.by.strip()[:MAX_NAME_CHARS],
            at=at,
            number=self.tried,
            verified=check.verified,
            via=decision.via[:20] if check.verified and decision.via else one.via,
            counted=counted,
            feedback=decision.feedback if counted else decision.feedback[:KEPT_CHARS],
            reason=one.refusal,
        )
        self.unwritten.append(tried)

    def to_write(self) -> tuple[TriedDecision, ...]:
        """The decisions that are not written down yet, once."""
        tries = tuple(self.unwritten)
        self.unwritten.clear()
        return tries


def read(given: tuple[Any, ...]) -> Decision:
    """Read a message as a decision.

    Handlers take anything, and read it here: the SDK drops a signal that does not fit its type,
    and nobody would see why.

    Raises:
        DecisionRefusedError: It is none.
    """
    try:
        return Decision.model_validate(given[0] if len(given) == 1 else None)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DecisionRefusedError(f"{_NO_FIT} {where} {first['msg']}".rstrip()) from None


def fault(decision: Decision, pending: PendingApproval) -> str:
    """What is wrong with a decision on what waits, as far as the run itself can tell."""
    if not decision.digest:
        return _NO_DIGEST.format(pending.digest)
    if decision.digest != pending.digest:
        return stale(decision, pending)
    for name, most in _CHARS.items():
        given = len(getattr(decision, name))
        if given > most:
            return _LONG.format(name, given, most)
    return _fault_of_verdict(decision, pending) or _fault_of_person(decision, pending)


def stale(decision: Decision, pending: PendingApproval) -> str:
    """Say that a decision is about something else than what waits."""
    return _STALE.format(decision.digest[:40], pending.digest)


def unnamed(waiting: Sequence[PendingApproval]) -> str:
    """Say that a decision does not tell which of several contents was read."""
    return _NO_DIGEST.format(", ".join(pending.digest for pending in waiting))


def _fault_of_verdict(decision: Decision, pending: PendingApproval) -> str:
    if decision.verdict == "reject" and not decision.feedback.strip():
        return _NO_FEEDBACK
    if decision.verdict != "edit":
        carries = decision.edit or decision.edit_id
        return _STRAY_EDIT.format(decision.verdict) if carries else ""
    if pending.needed > 1:
        return _SEVERAL.format(pending.needed)
    if not decision.edit and not decision.edit_id:
        return _NO_EDIT
    if len(decision.edit) > MAX_EDIT_CHARS:
        return _LONG_EDIT.format(len(decision.edit), MAX_EDIT_CHARS)
    return ""


def _fault_of_person(decision: Decision, pending: PendingApproval) -> str:
    name = decision.by.strip()
    if pending.four_eyes:
        if not name:
            return _NAMELESS.format(pending.asked_by)
        if name.casefold() == pending.asked_by.strip().casefold():
            return _OWN.format(pending.asked_by)
    if pending.verified_only and not decision.signature:
        return _UNSIGNED
    approved = [one.casefold() for one in pending.approved_by]
    if pending.needed > 1 and decision.verdict == "approve" and name.casefold() in approved:
        return _TWICE.format(name or "Somebody without a name", pending.needed - len(approved))
    return ""


def taken_of(pending: PendingApproval, decision: Decision, *, verified: bool) -> TakenDecision:
    """A decision that counts, as the run takes it now."""
    return TakenDecision(
        revision=pending.revision,
        verdict=decision.verdict,
        digest=pending.digest,
        by=decision.by.strip(),
        feedback=decision.feedback.strip(),
        at=workflow.now(),
        verified=verified,
        request_id=pending.request_id,
        subject=pending.subject if pending.kind == "tool" else "",
    )


def decided(latest: TakenDecision) -> str:
    """Say that somebody has decided already."""
    sentence = latest.sentence()
    return f"{sentence[:1].upper()}{sentence[1:]} already, at {latest.at:%Y-%m-%d %H:%M} UTC."


def timed(asked: RequestApprovalInput, seconds: float) -> RequestApprovalInput:
    """The request with the moments at which something happens."""
    options, now = asked.options, workflow.now()
    moments = {"closes_at": now + timedelta(seconds=seconds)}
    if 0 < options.remind_after_s < seconds:
        moments["remind_at"] = now + timedelta(seconds=options.remind_after_s)
    escalate_after = options.escalate_after_s or seconds / 2
    if options.escalate_to and escalate_after < seconds:
        moments["escalate_at"] = now + timedelta(seconds=escalate_after)
    return asked.model_copy(update=moments)


def moments(wait: Wait) -> list[tuple[float, Mark | None]]:
    """When something happens although nobody decides, in order; the end comes last."""
    marks: list[tuple[datetime | None, Mark]] = [
        (wait.asked.remind_at, "reminded"),
        (wait.asked.escalate_at, "escalated"),
    ]
    told: list[tuple[float, Mark | None]] = [(at.timestamp(), m) for at, m in marks if at]
    return [*sorted(told, key=lambda one: one[0]), (wait.closes_at, None)]


def pending_of(wait: Wait) -> PendingApproval:
    """What waits, once the request is made."""
    asked, options, requested = wait.asked, wait.asked.options, wait.requested
    return PendingApproval(
        subject=asked.subject or requested.title,
        digest=requested.digest,
        kind=asked.kind,
        revision=asked.revision,
        request_id=requested.request_id,
        closes_at=wait.closes_at,
        reviewer=whom_of(wait),
        asked_by=asked.asked_by,
        four_eyes=options.four_eyes,
        verified_only=options.verified_only,
        needed=options.needed,
    )


def whom_of(wait: Wait) -> str:
    """Who may decide, in words."""
    options = wait.asked.options
    if not wait.escalated:
        return options.reviewer
    return f"{options.reviewer or 'a reviewer'} or {options.escalate_to}"
