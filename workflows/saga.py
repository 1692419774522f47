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
    from activities.records import RecordActivities
    from activities.shielding import to_its_end
    from durable_agents.models.conversation import LoggedError
    from durable_agents.models.saga import (
        ABANDONED,
        AbandonedCompensation,
        SagaOutcome,
        StuckCompensation,
        TakenVerdict,
        Undone,
    )
    from workflows import policies
    from workflows.flow import reason_of, type_of
    from workflows.stuck import StuckFlow

NOT_GIVEN_UP = "that it is given up could not be noted: {0}"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Compensation:
    """What undoes a step.

    `undo` takes an activity id, and tells whether the step stands undone. `give_up` is for what
    others rely on: it notes that a person gave the compensation up, and does so before the saga
    goes on.
    """

    step: str
    undo: Callable[[str], Awaitable[Undone]]
    give_up: Callable[[TakenVerdict, str], Awaitable[None]] | None = None

    @property
    def slug(self) -> str:
        """The step as a part of activity ids."""
        return self.step.replace(" ", "-")


class SagaFlow(StuckFlow):
    """Base of workflows that undo what they did.

    A compensation that keeps failing parks the run, in the phase `compensating`, until a person
    decides to have it tried again or to give it up. The query `outcome` tells what was done and
    what was undone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._compensations: list[Compensation] = []
        self._done: list[str] = []
        self._undone: list[str] = []
        self._abandoned: list[AbandonedCompensation] = []
        self._notes: list[str] = []
        self._settled: set[str] = set()

    @workflow.query(name="outcome", description="What was done, and what of it was undone.")
    def outcome(self) -> SagaOutcome:
        """Tell what was done and what was undone."""
        return SagaOutcome(
            done=tuple(self._done),
            undone=tuple(self._undone),
            abandoned=tuple(self._abandoned),
            notes=tuple(self._notes),
            open=() if self._state == "completed" else self._still_to_undo(),
        )

    def _still_to_undo(self) -> tuple[str, ...]:
        """The steps, also one under way, that are undone when the run ends now."""
        steps = (compensation.step for compensation in self._compensations)
        return tuple(step for step in steps if step not in self._settled)

    async def _to_end_or_undone(self, seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
        """Run the work to its deadline; when it fails or is cancelled, undo what it did."""
        try:
            return await self._to_deadline(seconds, work)
        except (Exception, asyncio.CancelledError) as error:
            ended = self._state
            self._state = "running"
            await self._undo_all()
            self._state = ended
            if is_cancelled_exception(error):
                raise
            kind, reason = type_of(error), reason_of(error)
            raise ApplicationError(reason, self.outcome(), type=kind, non_retryable=True) from error

    async def _saga_step(
        self,
        name: str,
        work: Coroutine[Any, Any, Result],
        compensation: Compensation | None = None,
        *,
        is_last: bool = False,
    ) -> Result:
        """Do a step whose compensation is registered first.

        A cancel waits until the step has really ended, so that what undoes it finds it settled.
        After the last step there is nothing to cancel any more: its result stands.
        """
        if compensation is not None:
            self._compensations.append(compensation)
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
        """Undo every step that began, the latest first; how the run ends is settled before."""
        if not self._compensations:
            return
        self.enter_phase("compensating")
        with suppress(asyncio.CancelledError):
            await to_its_end(self._undo_each())
        self.enter_phase("ended")

    async def _undo_each(self) -> None:
        for compensation in reversed(self._compensations):
            await self._undo(compensation)

    async def _undo(self, compensation: Compensation) -> None:
        """Undo a step; parked, when that keeps failing, until a person decides."""
        tries = 1
        while True:
            suffix = "" if tries == 1 else f"-{tries}"
            try:
                with self.step(f"undo {compensation.step}"):
                    undone = await compensation.undo(f"undo-{compensation.slug}{suffix}")
            except Exception as error:  # noqa: BLE001 - a person decides about any
                if await self._is_abandoned(compensation, reason_of(error), tries):
                    return
                tries += 1
            else:
                self._settled.add(compensation.step)
                self._undone += [compensation.step] * undone.happened
                self._notes += [undone.note] if undone.note else []
                self._note = undone.note or self._note
                return

    async def _is_abandoned(self, compensation: Compensation, error: str, tries: int) -> bool:
        """Wait until a person decides; whether the compensation is given up."""
        command, noted = f"durable-agents compensate {workflow.info().workflow_id}", 0
        stuck = StuckCompensation(step=compensation.step, error=error, attempt=tries)
        workflow.metric_meter().create_counter(
            "durable_agents_compensations_parked", "Compensations that kept failing and wait."
        ).add(1)
        while True:
            verdict = await self._decided(stuck, command)
            if verdict.verdict == "retry":
                return False
            noted += 1
            suffix = f"-{noted}" if tries == 1 else f"-{tries}-{noted}"
            try:
                if compensation.give_up is not None:
                    activity_id = f"give-up-{compensation.slug}{suffix}"
                    await compensation.give_up(verdict, activity_id)
            except Exception as failed:  # noqa: BLE001 - what is not noted is not given up
                failure = NOT_GIVEN_UP.format(reason_of(failed))
                stuck = stuck.model_copy(update={"error": f"{error} And {failure}"})
                continue
            await self._record(
                AbandonedCompensation(
                    step=compensation.step, reason=verdict.reason, by=verdict.by, error=error
                )
            )
            return True

    async def _record(self, gave_up: AbandonedCompensation) -> None:
        """Keep what was given up, in the outcome and in the table of errors."""
        self._abandoned.append(gave_up)
        self._settled.add(gave_up.step)
        try:
            await self._log(gave_up)
        except Exception as failed:  # noqa: BLE001 - what is left has to be undone all the same
            self._note = f"not in the table of errors: {reason_of(failed)}"
            workflow.logger.warning("An abandoned compensation was not recorded: %s", self._note)

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
