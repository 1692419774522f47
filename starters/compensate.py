"""Show which compensation of a run is stuck, and decide: have it tried again, or give it up."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import ConfigurationError, DecisionRefusedError, InputError
from durable_agents.models.saga import (
    CompensationState,
    CompensationVerdict,
    StuckCompensation,
    TakenVerdict,
)
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.inspect import find_run, status_name
from starters.options import AsJson, By, RunId, login
from starters.outcomes import asked_outcome, tell_outcome
from starters.progress import QUERY_TIMEOUT_S
from starters.terminal import EXIT_RUN_FAILED, fail, main_of, note, print_json, run, say

UPDATE_TIMEOUT_S = 15  # a worker that is being replaced answers again by then
SETTLED_WITHIN_S = 10  # a gateway that works again answers by then
LOOK_EVERY_S = 0.1

Handle = WorkflowHandle[Any, Any]


def compensate(
    workflow_id: RunId,
    retry: Annotated[bool, typer.Option("--retry", help="Try what is stuck again.")] = False,
    abandon: Annotated[
        str | None,
        typer.Option("--abandon", metavar="REASON", help="Give it up; the reason is recorded."),
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Show which compensation of a run is stuck; with --retry or --abandon, decide."""

    async def work(settings: Settings) -> None:
        decision = _decision(retry, abandon, by)
        client = await connect(settings)
        handle, stuck = await stuck_in(client, workflow_id)
        if decision is None:
            _show(workflow_id, stuck, as_json=as_json)
            return
        meant = decision.model_copy(update={"step": stuck.step, "attempt": stuck.attempt})
        taken = await submit(handle, meant)
        await _report(handle, taken, as_json=as_json)

    run(work, as_json=as_json)


def _decision(retry: bool, abandon: str | None, by: str) -> CompensationVerdict | None:
    """What the arguments decide; None when they only ask.

    Raises:
        InputError: They contradict each other, or give no reason.
    """
    if retry and abandon is not None:
        raise InputError("Give either --retry or --abandon REASON, not both.")
    if abandon is not None and not abandon.strip():
        raise InputError("Say why it is given up: --abandon needs a reason, which is recorded.")
    if not retry and abandon is None:
        return None
    verdict = "retry" if retry else "abandon"
    return CompensationVerdict(verdict=verdict, reason=abandon or "", by=by or login())


async def stuck_in(client: Client, workflow_id: str) -> tuple[Handle, StuckCompensation]:
    """The run of an id, and the compensation of it that waits for a person.

    Raises:
        NotFoundError: There is no such run.
        DecisionRefusedError: Nothing of it is stuck; says what it does.
        ConfigurationError: No worker answers.
    """
    seen = await find_run(client, workflow_id)
    if seen.status != WorkflowExecutionStatus.RUNNING:
        raise _ended(seen)
    handle = client.get_workflow_handle(seen.id, run_id=seen.run_id)
    try:
        state = await _state_of(handle)
    except WorkflowQueryFailedError as error:
        raise DecisionRefusedError(
            f"Run {workflow_id} is a {seen.workflow_type}, which has nothing to compensate."
        ) from error
    except (RPCError, TimeoutError) as error:
        raise _nobody_answers(workflow_id) from error
    if state.stuck is None:
        before = f" The latest decision: {state.latest.sentence()}." if state.latest else ""
        raise DecisionRefusedError(
            f"No compensation of run {workflow_id} is stuck now.{before} "
            f"`durable-agents status {workflow_id}` shows where it is."
        )
    return handle, state.stuck


async def submit(handle: Handle, decision: CompensationVerdict) -> TakenVerdict:
    """Send a decision to the run that was read, and learn what became of it.

    Raises:
        DecisionRefusedError: The run does not take it, or has ended meanwhile; says why.
        ConfigurationError: No worker answers; the decision is not taken.
    """
    try:
        async with asyncio.timeout(UPDATE_TIMEOUT_S):
            return await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's type
                "decide_compensation", decision, result_type=TakenVerdict
            )
    except WorkflowUpdateFailedError as error:
        told = error.cause.message if isinstance(error.cause, ApplicationError) else str(error)
        raise DecisionRefusedError(f"Run {handle.id} does not take the decision. {told}") from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise _nobody_answers(handle.id) from error
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        raise _ended(await handle.describe()) from error


async def _report(handle: Handle, taken: TakenVerdict, *, as_json: bool) -> None:
    """Say what became of a decision; the command fails when something is stuck again."""
    told: dict[str, Any] = {"id": handle.id, "run": handle.run_id}
    told |= {"step": taken.step, "decision": taken.verdict, "by": taken.by}
    if not as_json:
        say(f"Taken: {taken.sentence()}.")

    async def settled(state: CompensationState) -> bool:
        return state.stuck is not None or not await _is_running(handle)

    after = await _until(handle, settled, SETTLED_WITHIN_S)
    seen, outcome = await handle.describe(), await asked_outcome(handle)
    told |= {"status": status_name(seen.status), "stuck": None}
    told |= outcome.model_dump(mode="json") if outcome else {}
    if after is not None and after.stuck is not None:
        _fail_stuck_again(handle.id, taken.step, after.stuck, told, as_json=as_json)
    if as_json:
        print_json(told)
    elif after is None:
        note(f"It is at work; `durable-agents status {handle.id}` shows how it goes on.")
    else:
        if outcome is not None:
            tell_outcome(outcome)
        note(f"Nothing is stuck any more; run {handle.id} has ended ({told['status']}).")


async def _until(
    handle: Handle,
    condition: Callable[[CompensationState], Awaitable[bool]],
    seconds: float,
) -> CompensationState | None:
    """Look at a run until something is so; None when it is not so in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                with suppress(RPCError, TimeoutError):
                    state = await _state_of(handle)
                    if await condition(state):
                        return state
                await asyncio.sleep(LOOK_EVERY_S)
    return None


async def _state_of(handle: Handle) -> CompensationState:
    async with asyncio.timeout(QUERY_TIMEOUT_S):
        return await handle.query("compensation", result_type=CompensationState)


async def _is_running(handle: Handle) -> bool:
    return (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


def _ended(seen: WorkflowExecution) -> DecisionRefusedError:
    return DecisionRefusedError(
        f"Run {seen.id} has ended ({status_name(seen.status)}); nothing of it is stuck."
    )


def _nobody_answers(workflow_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"No worker answers for run {workflow_id} just now; start one with `python -m workers`, "
        "then see with `durable-agents compensate` whether the run still waits."
    )


def _fail_stuck_again(
    workflow_id: str,
    before: str,
    now: StuckCompensation,
    told: dict[str, Any],
    *,
    as_json: bool,
) -> NoReturn:
    again = "still fails" if now.step == before else "fails now"
    sentence = (
        f"To undo the step {now.step!r} {again}: {now.error} Run {workflow_id} waits for another "
        "decision."
    )
    if as_json:
        error = {"type": "CompensationStuck", "message": sentence}
        print_json({**told, "stuck": now.model_dump(mode="json"), "error": error})
    fail(sentence, EXIT_RUN_FAILED)


def _show(workflow_id: str, stuck: StuckCompensation, *, as_json: bool) -> None:
    """Print what is stuck, and how to decide."""
    if as_json:
        print_json({"id": workflow_id, **stuck.model_dump(mode="json")})
        return
    say(f"To undo the step {stuck.step!r} keeps failing: {stuck.error}")
    command = f"durable-agents compensate {workflow_id}"
    note(f'`{command} --retry`, or `--abandon "why it is given up"`.')


if __name__ == "__main__":
    main_of(compensate)
