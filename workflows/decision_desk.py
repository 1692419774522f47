"""Takes people's decisions for the requests of a run, and tells why one changed nothing.

Decisions come as the signal `decide` or the update `submit_decision`. Their handlers hand them to
the request that they name, and nothing else; the run judges them one by one while it waits, and
each either counts or is told why not. So a decision that comes early is kept until the run can
judge it, and one that is stray, stale or sent twice changes nothing.
"""

import asyncio
from collections import deque
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from durable_agents.models.approval import ApprovalState, DecisionCheck, TakenDecision
    from durable_agents.models.errors import DecisionRefusedError
    from workflows.decisions import Given, Wait, decided, fault, read, stale, unnamed
    from workflows.flow import Flow

MOST_EARLY = 100  # decisions that come before anything waits for them
MOST_WRITTEN = 20  # refused signals that a run writes down; the others only leave a note
MOST_CHECKED = 100  # signals that a run looks up; each takes a little of its history
REMEMBERED = 100  # decisions of a run that later ones on the same content are told of

ENDED = "The run has ended."
RESET = "The run was reset since this was asked; it asks anew. Read what waits now."
WRITTEN_DOWN = "written down"
"""What a refusal of an update says in its details when the run itself keeps it."""

_TOO_MANY = "Too many decisions came before anything waited for them."
_TOO_MANY_SIGNALS = "Too many decisions came by signal. Use the update `submit_decision`."
_NOTHING = "Nothing waits for a decision now. The run's status tells where it is."


class DecisionDesk(Flow):
    """Base of the workflows that take decisions; the waits themselves are `ApprovalFlow`'s."""

    def __init__(self) -> None:
        """Begin with nothing to wait for."""
        super().__init__()
        self._waits: list[Wait] = []
        self._opening = 0
        self._early: deque[Given] = deque()
        self._latest: TakenDecision | None = None
        self._taken: dict[str, TakenDecision] = {}
        self._written = 0
        self._checked = 0
        self._epoch = 0
        self._telling: list[asyncio.Task[None]] = []
        workflow.register_random_seed_callback(self._note_reset)

    @workflow.signal(name="decide", description="Approve, reject or edit what waits: a Decision.")
    def decide(self, *given: Any) -> None:
        """Take a decision; one that does not fit leaves a note."""
        try:
            one = Given(read(given), "signal")
        except DecisionRefusedError as error:
            self._tell_refusal(error.message)
            return
        self._hand_over(one)

    @workflow.update(name="submit_decision", description="Decide, and learn why not: a Decision.")
    async def submit_decision(self, *given: Any) -> TakenDecision:
        """Take a decision, once it is known whether it counts; the run judges it.

        Raises:
            ApplicationError: It does not count; says why, by the type `DecisionRefusedError`.
        """
        one = Given(read(given), "update")
        self._hand_over(one)
        await workflow.wait_condition(lambda: one.is_settled)
        if one.taken is None:
            kind = DecisionRefusedError.__name__
            raise ApplicationError(one.refusal, WRITTEN_DOWN, type=kind, non_retryable=True)
        return one.taken

    @submit_decision.validator
    def _check_decision(self, *given: Any) -> None:
        """Refuse a decision that would not count, as far as that needs no look-up.

        Raises:
            DecisionRefusedError: Says why.
        """
        one = Given(read(given), "update")
        wait = self._wait_of(one)
        reason = self._fault_of(one, wait) if wait is not None else self._why_nowhere(one)
        if reason:
            raise DecisionRefusedError(reason)

    @workflow.query(name="approval", description="What waits for decisions, and the latest one.")
    def approval(self) -> ApprovalState:
        """Tell what waits for decisions, and the latest one."""
        waiting = tuple(wait.pending for wait in self._waits)
        return ApprovalState(
            pending=waiting[0] if waiting else None, latest=self._latest, waiting=waiting
        )

    async def finish_messages(self) -> None:
        """Let handlers and notifications end, and note what came too late; for a run's end."""
        while self._early:
            self._refuse(self._early.popleft(), self._why_nowhere_or_ended())
        await asyncio.gather(*self._telling, return_exceptions=True)
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _why_nowhere_or_ended(self) -> str:
        return decided(self._latest) if self._latest else ENDED

    def _hand_over(self, one: Given) -> None:
        """Give a decision to the request that it names, keep it, or refuse it."""
        wait = self._wait_of(one)
        if wait is None:
            self._keep_or_refuse(one)
            return
        is_signal = one.via == "signal"
        reason = self._fault_of(one, wait)
        if not reason and is_signal and self._checked >= MOST_CHECKED:
            reason = _TOO_MANY_SIGNALS
        if not reason:
            self._checked += is_signal
            wait.given.append(one)
            return
        self._refuse(one, reason)
        if is_signal:
            self._write_down(wait, one, DecisionCheck())

    def _hand_over_early(self) -> None:
        """Give decisions that came early to what waits now; the others are refused."""
        for _ in range(len(self._early)):
            one = self._early.popleft()
            if one.refusal:
                continue
            self._hand_over(one)

    def _write_down(self, wait: Wait, one: Given, check: DecisionCheck) -> None:
        """Have it written down who tried to decide; of refused signals, the first ones."""
        if one.taken is None and one.via == "signal":
            if self._written >= MOST_WRITTEN:
                return
            self._written += 1
        wait.note(one, check, workflow.now())

    def _keep_or_refuse(self, one: Given) -> None:
        """Keep a signal that names nothing that waits as long as it may be early."""
        may_be_early = self._opening > 0 or not self._waits
        if one.via != "signal" or not may_be_early or one.decision.digest in self._taken:
            self._refuse(one, self._why_nowhere(one))
        elif len(self._early) >= MOST_EARLY:
            self._refuse(one, _TOO_MANY)
        else:
            self._early.append(one)

    def _wait_of(self, one: Given) -> Wait | None:
        """The wait that a decision names; the only one there is, if it names none."""
        digest = one.decision.digest
        found = [wait for wait in self._waits if wait.pending.digest == digest]
        if found:
            return found[0]
        return self._waits[0] if len(self._waits) == 1 and not self._opening else None

    def _fault_of(self, one: Given, wait: Wait) -> str:
        """Why a decision does not count, as far as the run itself can tell."""
        if wait.over:
            return wait.over
        if wait.epoch != self._epoch or not wait.is_open:
            return RESET
        if one.decision.digest in self._taken:
            return decided(self._taken[one.decision.digest])
        return fault(one.decision, wait.pending)

    def _why_nowhere(self, one: Given) -> str:
        """Why a decision does not count that names nothing that waits."""
        digest, latest = one.decision.digest, self._latest
        if digest in self._taken:
            return decided(self._taken[digest])
        if self._waits and not digest:
            return unnamed([wait.pending for wait in self._waits])
        if self._waits:
            return stale(one.decision, self._waits[0].pending)
        return decided(latest) if latest is not None and not digest else _NOTHING

    def _remember(self, taken: TakenDecision) -> None:
        self._taken[taken.digest] = taken
        if len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]

    def _leave(self, wait: Wait, reason: str) -> None:
        """Let nobody decide on a request any more; what came too late is told so."""
        if wait in self._waits:
            self._waits.remove(wait)
            self._show()
        self._turn_away_given(wait, reason)

    def _turn_away(self, wait: Wait, reason: str) -> None:
        """Take no decision any more on a request whose end is still to be written down."""
        wait.over = reason
        self._turn_away_given(wait, reason)

    def _turn_away_given(self, wait: Wait, reason: str) -> None:
        while wait.given:
            one = wait.given.popleft()
            self._refuse(one, reason)
            self._write_down(wait, one, DecisionCheck())

    def _show(self) -> None:
        """Show in the status, and as the search attribute, for whom the run waits."""
        sentences = [wait.pending.sentence() for wait in self._waits]
        self._waiting_for = "; ".join(sentences)
        self.enter_phase("waiting_for_approval" if sentences else "running")

    def _refuse(self, one: Given, reason: str) -> None:
        one.refusal = reason
        if one.via == "signal":
            self._tell_refusal(reason)

    def _tell_refusal(self, reason: str) -> None:
        """Say in the status and in the log why a signal changed nothing."""
        self._note = f"A decision was not taken: {reason}"
        workflow.logger.warning("A decision was not taken: %s", reason)

    def _note_reset(self, _seed: int) -> None:
        """Note that the run was reset: the server then gives it another seed."""
        self._epoch += 1
