"""Waiting for a person's decision on a compensation that keeps failing.

A decision comes as the update `decide_compensation`, whose validator tells each of several people
what became of theirs, or as one of two signals, which can be sent from the Web UI and leave a
note. The first that fits counts; later ones about the same try are refused by name.
"""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from durable_agents.models.errors import DecisionRefusedError
    from durable_agents.models.saga import (
        CompensationDecision,
        CompensationState,
        CompensationVerdict,
        StuckCompensation,
        TakenVerdict,
        Verdict,
    )
    from workflows.flow import Flow


class StuckFlow(Flow):
    """Base of workflows that ask people about what they cannot undo.

    Takes the update `decide_compensation`, the signals `retry_compensation` and
    `abandon_compensation`, and the query `compensation`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stuck: StuckCompensation | None = None
        self._verdict: TakenVerdict | None = None
        self._latest: TakenVerdict | None = None
        self._taken = 0
        self._dropped = 0

    @workflow.query(name="compensation", description="What is stuck and waits for a person.")
    def compensation(self) -> CompensationState:
        """Tell what waits for a person, and what became of the messages so far."""
        return CompensationState(
            stuck=self._stuck,
            taken=self._taken,
            dropped=self._dropped,
            note=self._note,
            latest=self._latest,
        )

    @workflow.update(
        name="decide_compensation", description="Decide about what is stuck: retry or abandon."
    )
    def decide_compensation(self, *given: Any) -> TakenVerdict:
        """Take a decision; the validator has refused any that would not count."""
        decision = _read(CompensationVerdict, given)
        return self._take(decision, decision.verdict)

    @decide_compensation.validator
    def _check_decision(self, *given: Any) -> None:
        """Refuse a decision that would not count.

        Raises:
            DecisionRefusedError: Says why, and whose counted before.
        """
        decision = _read(CompensationVerdict, given)
        self._judge(decision, decision.verdict)

    @workflow.signal(name="retry_compensation", description="Try what is stuck again.")
    def retry_compensation(self, *given: Any) -> None:
        """Try the compensation that is stuck again; dropped when none is."""
        self._take_signal("retry", given)

    @workflow.signal(name="abandon_compensation", description="Give up what is stuck; say why.")
    def abandon_compensation(self, *given: Any) -> None:
        """Give the compensation that is stuck up; dropped when none is, or without a reason."""
        self._take_signal("abandon", given)

    async def _decided(self, stuck: StuckCompensation, command: str) -> TakenVerdict:
        """Wait until a person decides; there is no deadline, nothing is forgotten."""
        self._stuck, self._verdict = stuck, None
        self._waiting_for = (
            f"a person, because to undo the step {stuck.step!r} keeps failing "
            f"({stuck.error}): `{command} --retry` or `--abandon REASON`, or the signals "
            "retry_compensation and abandon_compensation"
        )
        workflow.set_current_details(f"**stuck** waiting for {self._waiting_for}")
        await workflow.wait_condition(lambda: self._verdict is not None)
        verdict = self._verdict
        assert verdict is not None  # noqa: S101 - just waited for
        self._stuck, self._verdict, self._waiting_for = None, None, ""
        return verdict

    def _take_signal(self, verdict: Verdict, given: tuple[Any, ...]) -> None:
        """Take a signal's decision, or leave a note; the SDK would drop what does not fit."""
        try:
            decision = _read(CompensationDecision, given or ({},))
            self._judge(decision, verdict)
        except DecisionRefusedError as error:
            workflow.logger.warning("A message was dropped: %s", error.message)
            self._dropped += 1
            self._note = f"dropped {verdict}_compensation: {error.message}"
        else:
            self._take(decision, verdict)

    def _take(self, decision: CompensationDecision, verdict: Verdict) -> TakenVerdict:
        stuck = self._stuck
        if stuck is None:  # not so: it was judged, and nothing happened since
            raise DecisionRefusedError(self._nothing_stuck())
        taken = TakenVerdict(
            step=stuck.step,
            attempt=stuck.attempt,
            verdict=verdict,
            at=workflow.now(),
            by=decision.by.strip(),
            reason=decision.reason.strip(),
        )
        workflow.logger.info("A person decided about a stuck compensation: %s", verdict)
        self._verdict = self._latest = taken
        self._taken += 1
        self._note = taken.sentence()
        return taken

    def _judge(self, decision: CompensationDecision, verdict: Verdict) -> None:
        """Refuse a decision that does not count now.

        Raises:
            DecisionRefusedError: Says why.
        """
        stuck = self._stuck
        if stuck is None:
            raise DecisionRefusedError(self._nothing_stuck())
        if self._verdict is not None:
            raise DecisionRefusedError(_decided_already(self._verdict))
        if decision.step not in {"", stuck.step}:
            raise DecisionRefusedError(f"It is the step {stuck.step!r} that is stuck.")
        if decision.attempt not in {0, stuck.attempt}:
            latest = _decided_already(self._latest) if self._latest else ""
            raise DecisionRefusedError(
                f"{latest} That failed as well: look at it again, then decide.".strip()
            )
        if verdict == "abandon" and not decision.reason.strip():
            raise DecisionRefusedError("To give up needs a reason, it is recorded: give a reason.")

    def _nothing_stuck(self) -> str:
        before = f" {_decided_already(self._latest)}" if self._latest else ""
        return f"Just now no compensation is stuck.{before}"


def _read(
    model: type[CompensationDecision] | type[CompensationVerdict], given: tuple[Any, ...]
) -> Any:
    """Read a message here: the SDK drops one that does not fit, and nobody would see why.

    Raises:
        DecisionRefusedError: It does not fit; says where.
    """
    try:
        return model.model_validate(given[0] if given else {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DecisionRefusedError(f"{where} {first['msg']}".strip()) from None


def _decided_already(taken: TakenVerdict) -> str:
    sentence = taken.sentence()
    return f"{sentence[:1].upper()}{sentence[1:]} already, at {taken.at:%Y-%m-%d %H:%M:%S} UTC."
