"""Waiting for people's decisions, for every workflow that needs them.

A request is a row of the database with a deadline; reminder, escalation and what counts when
nobody decides are durable timers of the run. Several requests may wait side by side.
"""

import asyncio
from contextlib import nullcontext
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.shielding import to_its_end
    from durable_agents.models.approval import (
        BY_DEFAULT,
        DecisionCheck,
        MarkRequestInput,
        Outcome,
        RequestApprovalInput,
        RequestStatus,
        SettleRequestInput,
        TakenDecision,
    )
    from durable_agents.models.errors import InputError
    from workflows import approval_steps as steps
    from workflows.decision_desk import ENDED, RESET, DecisionDesk
    from workflows.decisions import (
        Given,
        Mark,
        Wait,
        decided,
        moments,
        pending_of,
        taken_of,
        timed,
        whom_of,
    )
    from workflows.flow import reason_of

WITHDRAWN = "The run was ended before anyone decided."
NOT_DECIDED = "Nobody decided in time."

_UNCHECKED = "It could not be checked: {0} Send it again."
_NOBODY_ASKED = (
    "Nobody is named as the one who asks (asked_by), so that nobody can be told from them: name "
    "them, or leave four_eyes out."
)


class ApprovalFlow(DecisionDesk):
    """Base of the workflows that wait for people.

    Takes the signal `decide`, the update `submit_decision`, and the query `approval`.
    """

    waits_off_the_clock = False
    """Whether the deadline of the run rests while it waits for a person."""

    async def ask(self, asked: RequestApprovalInput, seconds: float, *, label: str) -> Outcome:
        """Ask for a decision, and wait for it; several may be asked for side by side.

        Args:
            asked: What is asked; its moments are filled in here.
            seconds: How long to wait.
            label: Names the wait in the status.

        Returns:
            The first decision that counts, or what counts when nobody decides in time. Only
            cancelling the run raises, or a database that refuses; the request is withdrawn when
            the run is cancelled.

        Raises:
            InputError: The options contradict each other.
        """
        if asked.options.four_eyes and not asked.asked_by.strip():
            raise InputError(_NOBODY_ASKED)
        wait = Wait(timed(asked, seconds), label, workflow.time() + seconds, self._epoch)
        try:
            with self.off_the_clock() if self.waits_off_the_clock else nullcontext():
                await to_its_end(self._open(wait))
                with self.step(f"wait for approval {label}", self._waiting_for):
                    return await self._until_settled(wait)
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancelled_exception(error) and wait.is_open and not wait.settled:
                self._turn_away(wait, ENDED)
                await to_its_end(self._settle(wait, "withdrawn", feedback=WITHDRAWN))
            raise
        finally:
            if workflow.in_workflow():  # not so when a worker forgets the run
                self._end(wait)

    async def _open(self, wait: Wait) -> None:
        """Make the request, and judge what came for it already."""
        self._opening += 1
        try:
            with self.step(f"request approval {wait.label}"):
                wait.requested = await steps.request(wait)
        finally:
            self._opening -= 1
        wait.pending, wait.is_open = pending_of(wait), True
        if wait not in self._waits:
            self._waits.append(wait)
        self._show()
        self._tell(wait, "new", wait.asked.options.reviewer)
        self._hand_over_early()

    async def _until_settled(self, wait: Wait) -> Outcome:
        """Judge decisions, remind and escalate, until one counts or the time is over."""
        for at, mark in moments(wait):
            outcome = await self._decided_before(wait, at)
            if outcome is not None:
                return outcome
            if mark is not None:
                await self._mark(wait, mark)
        return await self._settle_by_default(wait)

    async def _decided_before(self, wait: Wait, at: float) -> Outcome | None:
        """Judge what comes until a moment; None when nothing counted by then.

        There is one timer, whatever comes: strays must not cost the run its history.
        """
        left = timedelta(seconds=max(at - workflow.time(), 0))
        over = asyncio.ensure_future(workflow.sleep(left, summary=f"{wait.label} waits"[:100]))
        try:
            while True:
                await workflow.wait_condition(lambda: over.done() or self._something_came(wait))
                if wait.epoch != self._epoch:
                    await to_its_end(self._ask_anew(wait))
                while wait.given:
                    one = wait.given.popleft()
                    check = await self._judge(wait, one)
                    if one.taken is not None and _is_final(wait, one.taken):
                        return await self._settle_taken(wait, one, one.taken, check)
                if over.done():
                    return None
                if wait.unwritten:
                    await steps.record(wait)
        finally:
            if workflow.in_workflow():
                over.cancel()

    def _something_came(self, wait: Wait) -> bool:
        """Whether there is a decision to judge, a refusal to write down, or a reset to heed."""
        return bool(wait.given or wait.unwritten) or wait.epoch != self._epoch

    async def _judge(self, wait: Wait, one: Given) -> DecisionCheck:
        """Find out whether a decision counts; `one` then tells it."""
        check = DecisionCheck()
        reason = self._fault_of(one, wait)
        if not reason:
            try:
                check = await steps.check(wait, one)
                reason = check.reason or self._fault_of(one, wait)
            except (asyncio.CancelledError, ActivityError) as error:
                if is_cancelled_exception(error):
                    wait.given.appendleft(one)  # whoever withdraws the request turns it away
                    raise
                reason = _UNCHECKED.format(reason_of(error))
        if reason:
            self._refuse(one, reason)
        else:
            self._count(wait, one, check)
        self._write_down(wait, one, check)
        return check

    def _count(self, wait: Wait, one: Given, check: DecisionCheck) -> None:
        self._note = ""
        self._latest = one.taken = taken_of(wait.pending, one.decision, verified=check.verified)
        if one.decision.verdict == "approve":
            approved = (*wait.pending.approved_by, one.taken.by)
            wait.pending = wait.pending.model_copy(update={"approved_by": approved})
            wait.all_verified = wait.all_verified and check.verified

    async def _settle_taken(
        self, wait: Wait, one: Given, taken: TakenDecision, check: DecisionCheck
    ) -> Outcome:
        pending = wait.pending
        self._remember(taken)
        self._leave(wait, decided(taken))
        status: RequestStatus = "rejected" if taken.verdict == "reject" else "approved"
        via = one.decision.via[:20] if check.verified and one.decision.via else one.via
        names = ", ".join(pending.approved_by) if status == "approved" else taken.by
        verified = taken.verified and (wait.all_verified or status == "rejected")
        outcome = Outcome(
            request_id=pending.request_id,
            digest=pending.digest,
            status=status,
            at=taken.at,
            by=names or taken.by,
            verified=verified,
            via=via,
            feedback=taken.feedback,
            edited=taken.verdict == "edit",
            edit_digest=check.edit_digest,
            about=check.about,
        )
        edit = one.decision.edit if outcome.edited else ""
        edit_id = one.decision.edit_id if outcome.edited else 0
        await to_its_end(self._settle_as(wait, outcome, edit, edit_id))
        return outcome

    async def _settle_as(self, wait: Wait, outcome: Outcome, edit: str, edit_id: int) -> None:
        with self.step(f"settle {wait.label}", outcome.status):
            end = outcome.model_dump(include=set(SettleRequestInput.model_fields))
            await steps.settle(wait, SettleRequestInput(**end, edit=edit, edit_id=edit_id))
        wait.settled = True

    async def _settle_by_default(self, wait: Wait) -> Outcome:
        """End a wait in which nobody decided, as the request says."""
        default = wait.asked.options.default_verdict
        self._leave(wait, NOT_DECIDED)
        if default:
            status: RequestStatus = "approved" if default == "approve" else "rejected"
            return await self._settle(wait, status, feedback=NOT_DECIDED, via=BY_DEFAULT)
        return await self._settle(wait, "expired", feedback=NOT_DECIDED)

    async def _settle(
        self, wait: Wait, status: RequestStatus, *, feedback: str = "", via: str = ""
    ) -> Outcome:
        """Write down an end that nobody decided."""
        outcome = Outcome(
            request_id=wait.pending.request_id,
            digest=wait.pending.digest,
            status=status,
            at=workflow.now(),
            via=via,
            feedback=feedback,
        )
        await to_its_end(self._settle_as(wait, outcome, "", 0))
        return outcome

    async def _ask_anew(self, wait: Wait) -> None:
        """Withdraw what the run before the reset has asked, and ask in this run's name.

        The digest then is another one, so that decisions which the reset applies again are stale.
        """
        self._leave(wait, RESET)
        wait.unwritten.clear()  # the run before has written down what came before the reset
        await self._settle(wait, "withdrawn", feedback=RESET)
        wait.again, wait.epoch = wait.again + 1, self._epoch
        wait.settled, wait.is_open, wait.tried, wait.all_verified = False, False, 0, True
        await self._open(wait)

    async def _mark(self, wait: Wait, mark: Mark) -> None:
        """Remind those who may decide, or let others decide as well."""
        options = wait.asked.options
        with self.step(f"{mark} {wait.label}"):
            if mark == "escalated":
                wait.escalated = True
                wait.pending = wait.pending.model_copy(update={"reviewer": whom_of(wait)})
                self._show()
            marked = MarkRequestInput(
                request_id=wait.pending.request_id, mark=mark, at=workflow.now()
            )
            await steps.mark(wait, marked)
        if mark == "escalated":
            self._tell(wait, "escalated", options.escalate_to)
        else:
            self._tell(wait, "reminder", options.reviewer)

    def _tell(self, wait: Wait, word: steps.Word, whom: str) -> None:
        """Notify people beside the wait: it does not wait for them."""
        told = steps.tell(wait, word, whom or "reviewer")
        self._telling = [one for one in self._telling if not one.done()]
        self._telling.append(asyncio.ensure_future(told))

    def _end(self, wait: Wait) -> None:
        taken = self._taken.get(wait.pending.digest)
        self._leave(wait, decided(taken) if taken is not None else ENDED)


def _is_final(wait: Wait, taken: TakenDecision) -> bool:
    """Whether a decision that counts ends the wait."""
    return taken.verdict != "approve" or len(wait.pending.approved_by) >= wait.pending.needed
