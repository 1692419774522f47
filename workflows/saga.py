"""Sagas: steps that are undone, in reverse order, when a later one fails or the run is cancelled.

A compensation is registered before its step, because a step that told nothing may have happened;
to compensate what never happened is harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.records import RecordActivities
    from activities.shielding import to_its_end
    from durable_agents.models.conversation import LoggedError
    from durable_agents.models.saga import (
        AbandonedCompensation,
        CompensationDecision,
        CompensationState,
        SagaOutcome,
        StuckCompensation,
    )
    from workflows import policies
    from workflows.flow import Flow, reason_of, type_of

ABANDONED = "CompensationAbandoned"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Compensation:
    """What undoes a step: `undo` takes an activity id, and tells whether there was something."""

    step: str
    undo: Callable[[str], Awaitable[bool]]


class SagaFlow(Flow):
    """Base of workflows that undo what they did.

    A compensation that keeps failing parks the run, in the phase `compensating`, until a person
    signals `retry_compensation` or `abandon_compensation`; the latter takes a reason. The query
    `outcome` tells what was done and what was undone, `compensation` what waits for a person.
    """

    def __init__(self) -> None:
        super().__init__()
        self._compensations: list[Compensation] = []
        self._done: list[str] = []
        self._undone: list[str] = []
        self._abandoned: list[AbandonedCompensation] = []
        self._stuck: StuckCompensation | None = None
        self._taken = 0
        self._dropped = 0
        self._retry = False
        self._abandon: CompensationDecision | None = None

    @workflow.query(name="outcome", description="What was done, and what of it was undone.")
    def outcome(self) -> SagaOutcome:
        """Tell what was done and what was undone."""
        return SagaOutcome(
            done=tuple(self._done), undone=tuple(self._undone), abandoned=tuple(self._abandoned)
        )

    @workflow.query(name="compensation", description="What is stuck and waits for a person.")
    def compensation(self) -> CompensationState:
        """Tell what waits for a person, and what became of the messages so far."""
        return CompensationState(
            stuck=self._stuck, taken=self._taken, dropped=self._dropped, note=self._note
        )

    @workflow.signal(name="retry_compensation", description="Try what is stuck again.")
    def retry_compensation(self, *given: Any) -> None:
        """Try the compensation that is stuck again; dropped when none is."""
        decision = self._read("retry_compensation", given)
        if decision is None:
            return
        workflow.logger.info("A person has a stuck compensation tried again")
        self._note = f"retried by {decision.by or 'somebody'}: {decision.reason}".rstrip(": ")
        self._taken += 1
        self._retry = True

    @workflow.signal(name="abandon_compensation", description="Give up what is stuck; say why.")
    def abandon_compensation(self, *given: Any) -> None:
        """Give the compensation that is stuck up; dropped when none is, or without a reason."""
        decision = self._read("abandon_compensation", given)
        if decision is None:
            return
        if not decision.reason.strip():
            self._drop("abandon_compensation: give a reason, it is recorded")
            return
        self._note = f"given up by {decision.by or 'somebody'}: {decision.reason}"
        self._taken += 1
        self._abandon = decision

    def _read(self, message: str, given: tuple[Any, ...]) -> CompensationDecision | None:
        """Read a message here: the SDK drops one that does not fit, and nobody would see why."""
        try:
            decision = CompensationDecision.model_validate(given[0] if given else {})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            self._drop(f"{message}: {where} {first['msg']}".replace("  ", " "))
            return None
        if self._stuck is None:
            self._drop(f"{message}: no compensation is stuck")
            return None
        if decision.step not in {"", self._stuck.step}:
            self._drop(f"{message}: it is the step {self._stuck.step!r} that is stuck")
            return None
        return decision

    def _drop(self, why: str) -> None:
        workflow.logger.warning("A message was dropped: %s", why)
        self._dropped += 1
        self._note = f"dropped {why}"

    async def _to_end_or_undone(self, seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
        """Run the work to its deadline; when it fails or is cancelled, undo what it did."""
        try:
            return await self._to_deadline(seconds, work)
        except (Exception, asyncio.CancelledError) as error:
            ended = self._state
            self._state = "running"
            with suppress(asyncio.CancelledError):  # how the run ends is settled
                await to_its_end(self._undo_all())
            self._state = ended
            if is_cancelled_exception(error):
                raise
            kind, reason = type_of(error), reason_of(error)
            raise ApplicationError(reason, self.outcome(), type=kind, non_retryable=True) from error

    async def _saga_step(
        self,
        name: str,
        work: Coroutine[Any, Any, Result],
        undo: Callable[[str], Awaitable[bool]] | None = None,
        *,
        is_last: bool = False,
    ) -> Result:
        """Do a step whose compensation is registered first.

        A cancel waits until the step has really ended, so that what undoes it finds it settled.
        After the last step there is nothing to cancel any more: its result stands.
        """
        if undo is not None:
            self._compensations.append(Compensation(name, undo))
        task = asyncio.ensure_future(work)
        with self.step(name):
            try:
                result = await asyncio.shield(task)
            except asyncio.CancelledError:
                task.cancel()
                with suppress(Exception, asyncio.CancelledError):  # looked at below
                    await to_its_end(task)
                if task.cancelled() or task.exception() is not None:
                    raise
                self._done.append(name)
                if not is_last:
                    raise
                return task.result()
        self._done.append(name)
        return result

    async def _undo_all(self) -> None:
        """Undo every step that began, the latest first; parked until a person decides."""
        if not self._compensations:
            return
        self.enter_phase("compensating")
        for compensation in reversed(self._compensations):
            await self._undo(compensation)
        self.enter_phase("running")

    async def _undo(self, compensation: Compensation) -> None:
        slug, tries = compensation.step.replace(" ", "-"), 1
        while True:
            activity_id = f"undo-{slug}" if tries == 1 else f"undo-{slug}-{tries}"
            try:
                with self.step(f"undo {compensation.step}"):
                    happened = await compensation.undo(activity_id)
            except Exception as error:  # noqa: BLE001 - a person decides about any
                if await self._is_abandoned(compensation, error):
                    return
                tries += 1
            else:
                self._undone += [compensation.step] * happened
                return

    async def _is_abandoned(self, compensation: Compensation, error: Exception) -> bool:
        """Wait until a person decides; whether the compensation is given up."""
        self._stuck = StuckCompensation(step=compensation.step, error=reason_of(error))
        self._retry, self._abandon = False, None
        command = f"durable-agents compensate {workflow.info().workflow_id}"
        self._waiting_for = (
            f"a person, because to undo the step {compensation.step!r} keeps failing "
            f"({reason_of(error)}): `{command} --retry` or `--abandon REASON`, which signal "
            "retry_compensation or abandon_compensation"
        )
        workflow.set_current_details(f"**stuck** waiting for {self._waiting_for}")
        await workflow.wait_condition(lambda: self._retry or self._abandon is not None)
        decision, self._stuck, self._waiting_for = self._abandon, None, ""
        if decision is None:
            return False
        gave_up = AbandonedCompensation(
            step=compensation.step, reason=decision.reason, by=decision.by, error=reason_of(error)
        )
        self._abandoned.append(gave_up)
        try:
            await self._log(gave_up)
        except Exception as failed:  # noqa: BLE001 - what is left has to be undone all the same
            self._note = f"not in the table of errors: {reason_of(failed)}"
            workflow.logger.warning("An abandoned compensation was not recorded: %s", self._note)
        return True

    async def _log(self, gave_up: AbandonedCompensation) -> None:
        who = gave_up.by or "somebody who gave no name"
        message = (
            f"The step {gave_up.step!r} stays done: {who} gave up undoing it "
            f"({gave_up.reason}). It failed with: {gave_up.error}"
        )
        await workflow.execute_activity_method(
            RecordActivities.log_error,
            LoggedError(type=ABANDONED, message=message[:4000]),
            activity_id=f"log-abandoned-{gave_up.step.replace(' ', '-')}",
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            summary=f"record that undoing {gave_up.step} was given up",
        )
