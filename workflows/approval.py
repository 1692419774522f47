"""Waiting for a person's decision, for every workflow that needs one.

Decisions come as the signal `decide` or the update `submit_decision`. Their handlers put them
into a queue and nothing else; the run takes them out one by one while it waits, and each either
counts or leaves a note. So a decision that comes early is kept until the run can judge it, and
one that is stray, stale or sent twice changes nothing.
"""

import asyncio
from collections import deque
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from durable_agents.models.approval import (
        MAX_FEEDBACK_CHARS,
        MAX_NAME_CHARS,
        ApprovalState,
        Decision,
        PendingApproval,
        TakenDecision,
    )
    from durable_agents.models.errors import DecisionRefusedError
    from workflows.flow import Flow

MOST_QUEUED = 100  # decisions that come before anything waits for them

_NO_FIT = "It is no JSON object with verdict (approve or reject), digest, by and feedback:"
_TOO_MANY = "Too many decisions came before anything waited for them."
_NO_DIGEST = "It does not say which text was read. Give the digest of the one that waits: {0}."
_STALE = "It is about another text (digest {0}) than the one that waits ({1}). Read that one."
_NO_FEEDBACK = "A rejection needs feedback: say what to change."
_LONG = "Its {0} is {1:,} characters long; at most {2:,} are taken."
_ENDED = "The run has ended."


class ApprovalFlow(Flow):
    """Base of the workflows that wait for people.

    Takes the signal `decide`, the update `submit_decision`, and the query `approval`.
    """

    def __init__(self) -> None:
        """Begin with nothing to wait for."""
        super().__init__()
        self._pending: PendingApproval | None = None
        self._latest: TakenDecision | None = None
        self._decisions: deque[Decision] = deque()

    @workflow.signal(name="decide", description="Approve or reject what waits: a Decision.")
    def decide(self, *given: Any) -> None:
        """Keep a decision until the run judges it; one that does not fit leaves a note."""
        try:
            decision = _read(given)
        except DecisionRefusedError as error:
            self._refuse(error.message)
            return
        if len(self._decisions) >= MOST_QUEUED:
            self._refuse(_TOO_MANY)
        else:
            self._decisions.append(decision)

    @workflow.update(name="submit_decision", description="Decide, and learn why not: a Decision.")
    async def submit_decision(self, *given: Any) -> TakenDecision:
        """Take a decision; the validator has refused any that would not count."""
        decision = _read(given)
        pending = self._pending
        if pending is None:  # not so: the validator has seen it, and nothing happened since
            raise DecisionRefusedError(self._reason_against(decision))
        self._decisions.append(decision)
        return _taken(pending, decision)

    @submit_decision.validator
    def _check_decision(self, *given: Any) -> None:
        """Refuse a decision that would not count.

        Raises:
            DecisionRefusedError: Says why.
        """
        decision = _read(given)
        pending = self._pending
        queued = [] if pending is None else [d for d in self._decisions if not fault(d, pending)]
        if pending is not None and queued:
            raise DecisionRefusedError(_decided(_taken(pending, queued[0])))
        reason = self._reason_against(decision)
        if reason:
            raise DecisionRefusedError(reason)

    @workflow.query(name="approval", description="What waits for a decision, and the latest one.")
    def approval(self) -> ApprovalState:
        """Tell what waits for a decision, and the latest one."""
        return ApprovalState(pending=self._pending, latest=self._latest)

    async def wait_for_decision(
        self, request: PendingApproval, seconds: float
    ) -> TakenDecision | None:
        """Wait for the decision on one revision.

        Args:
            request: What is to be decided.
            seconds: How long to wait.

        Returns:
            The first decision that counts; None when none came in time.
        """
        closes_at = workflow.time() + seconds
        self._pending = request.model_copy(update={"closes_at": closes_at})
        self._waiting_for = request.sentence()
        self.enter_phase("waiting_for_approval")
        try:
            with self.step(f"wait for approval {request.revision}", self._waiting_for):
                return await self._first_that_counts(closes_at)
        finally:
            self._pending = None
            self._waiting_for = ""
            self.enter_phase("running")

    async def _first_that_counts(self, closes_at: float) -> TakenDecision | None:
        """Take decisions from the queue until one counts, or the one timer of the wait fires."""
        waiting = asyncio.timeout(closes_at - workflow.time())
        try:
            async with waiting:
                while True:
                    await workflow.wait_condition(lambda: bool(self._decisions))
                    taken = self._take(self._decisions.popleft())
                    if taken is not None:
                        return taken
        except TimeoutError:
            if not waiting.expired():
                raise
        return None

    def _take(self, decision: Decision) -> TakenDecision | None:
        """Judge a decision; None when it does not count."""
        pending = self._pending
        reason = self._reason_against(decision)
        if pending is None or reason:
            self._refuse(reason)
            return None
        self._note = ""
        self._latest = _taken(pending, decision)
        self._drop_queued(_decided(self._latest), digest=decision.digest)
        return self._latest

    async def finish_messages(self) -> None:
        """Let handlers end, and note what came too late; for the end of a run."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._drop_queued(_decided(self._latest) if self._latest else _ENDED)

    def _reason_against(self, decision: Decision) -> str:
        """Why a decision does not count now; empty when it does."""
        if self._pending is not None:
            return fault(decision, self._pending)
        latest = self._latest
        if latest is not None and decision.digest in {"", latest.digest}:
            return _decided(latest)
        return "Nothing waits for a decision now. The run's status tells where it is."

    def _drop_queued(self, reason: str, *, digest: str | None = None) -> None:
        """Take decisions out of the queue that cannot count any more: all, or those on a text."""
        for _ in range(len(self._decisions)):
            decision = self._decisions.popleft()
            if digest is None or decision.digest == digest:
                self._refuse(reason)
            else:
                self._decisions.append(decision)

    def _refuse(self, reason: str) -> None:
        """Say in the status and in the log why a message changed nothing."""
        self._note = f"A decision was not taken: {reason}"
        workflow.logger.warning("A decision was not taken: %s", reason)


def _read(given: tuple[Any, ...]) -> Decision:
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
    """What is wrong with a decision on what waits; empty when it counts."""
    if not decision.digest:
        return _NO_DIGEST.format(pending.digest)
    if decision.digest != pending.digest:
        return _STALE.format(decision.digest[:40], pending.digest)
    if decision.verdict == "reject" and not decision.feedback.strip():
        return _NO_FEEDBACK
    for name, most in (("feedback", MAX_FEEDBACK_CHARS), ("by", MAX_NAME_CHARS)):
        given = len(getattr(decision, name))
        if given > most:
            return _LONG.format(name, given, most)
    return ""


def _taken(pending: PendingApproval, decision: Decision) -> TakenDecision:
    return TakenDecision(
        revision=pending.revision,
        verdict=decision.verdict,
        digest=pending.digest,
        by=decision.by.strip(),
        feedback=decision.feedback.strip(),
        at=workflow.now(),
    )


def _decided(latest: TakenDecision) -> str:
    sentence = latest.sentence()
    return f"{sentence[:1].upper()}{sentence[1:]} already, at {latest.at:%Y-%m-%d %H:%M} UTC."
