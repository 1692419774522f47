"""Terminate runs: they end at once, run no code any more, and undo nothing.

A run that would undo what it did is refused, unless a person gives that up. Then it is written
down what stays done, by whom and why: as an abandoned compensation in the table of errors, and
a refund under way as given up, so that no worker takes it up.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.db.error_log import log_error
from durable_agents.db.refunds import abandon_of_chain
from durable_agents.models.conversation import LoggedError
from durable_agents.models.errors import DecisionRefusedError, InputError
from durable_agents.models.saga import ABANDONED, SagaOutcome
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.choosing import (
    Chosen,
    DryRun,
    Filter,
    OfUser,
    Outcome,
    Pattern,
    Phase,
    Query,
    Status,
    Yes,
    act_on_all,
    check_meant,
    choose,
    confirm,
    tell,
)
from starters.database import database_url
from starters.inspect import find_open_run
from starters.options import AsJson, By, MaybeRunId, login
from starters.progress import QUERY_TIMEOUT_S
from starters.terminal import main_of, note, print_json, run, say
from workers.registry import SAGAS

STEP = "terminate"  # what the table of errors calls the step that recorded it
UNKNOWN = "what it did (no worker answers that could tell)"


@dataclass(frozen=True)
class Ending:
    """How runs are to be ended: by whom, why, and with what."""

    client: Client
    database: Database
    by: str
    reason: str
    abandon: bool


def terminate(
    workflow_id: MaybeRunId = "",
    pattern: Pattern = "",
    user: OfUser = "",
    phase: Phase = "",
    status: Status = "",
    query: Query = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; the history keeps it.")] = "",
    abandon: Annotated[
        str | None,
        typer.Option(
            "--abandon",
            metavar="REASON",
            help="Also runs that would undo what they did: it stays done; the reason is recorded.",
        ),
    ] = None,
    by: By = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Terminate a run: it ends at once and undoes nothing; `cancel` is the gentle way."""
    which = Filter(workflow_id, pattern, user, phase, status, query)

    async def work(settings: Settings) -> None:
        if abandon is not None and not abandon.strip():
            raise InputError("Say why it is given up: --abandon needs a reason, it is recorded.")
        async with _ending(settings, by or login(), reason, abandon) as ending:
            runs = await choose(ending.client, which, usual="running")
            if not confirm(runs, "terminate", dry_run=dry_run, yes=yes, as_json=as_json):
                return
            if which.is_of_many:
                done = await act_on_all(runs, lambda one: end(ending, one))
                tell(done, as_json=as_json)
                return
            _report(await end(ending, runs[0]), as_json=as_json)

    run(work, as_json=as_json)


@asynccontextmanager
async def _ending(
    settings: Settings, by: str, reason: str, abandon: str | None
) -> AsyncGenerator[Ending]:
    client = await connect(settings)
    database = Database(database_url(settings), pool_size=2)
    try:
        why = (abandon or reason).strip()
        yield Ending(client, database, by, why, abandon is not None)
    finally:
        await database.close()


async def end(ending: Ending, chosen: Chosen) -> Outcome:
    """End a run.

    Raises:
        NotFoundError: It has ended already.
        InputError: Another run has taken its place.
        DecisionRefusedError: It would undo what it did, and nobody has given that up.
    """
    client = ending.client
    seen = await find_open_run(client, chosen.workflow_id, "terminate")
    await check_meant(client, chosen, seen)
    stays = await left_to_undo(client, seen)
    if stays and not ending.abandon:
        raise DecisionRefusedError(
            f"Run {seen.id} would undo {', '.join(stays)}: `durable-agents cancel {seen.id}` has "
            "it do so. To end it and leave that done, give --abandon REASON, which is recorded."
        )
    refunds = await _record(ending, seen, stays) if ending.abandon else []
    handle = client.get_workflow_handle(seen.id, first_execution_run_id=seen.raw_info.first_run_id)
    why = ending.reason or "terminated by command"
    await handle.terminate(reason=f"{why} ({ending.by})" if ending.by else why)
    if seen.workflow_type in SAGAS:
        stays = await _see_what_stays(ending, seen, stays)
    told = f"terminated; stays done: {', '.join(stays)}" if stays else "terminated"
    facts = {"status": "terminated", "stays_done": list(stays), "refunds_given_up": refunds}
    return Outcome(chosen, done=told, facts=facts)


async def left_to_undo(client: Client, seen: WorkflowExecutionDescription) -> tuple[str, ...]:
    """What an open run would undo if it were cancelled now; empty when nothing.

    When no worker answers, a saga is taken to have done something.
    """
    handle: WorkflowHandle[object, object] = client.get_workflow_handle(seen.id, run_id=seen.run_id)
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            told = await handle.query("outcome", result_type=SagaOutcome)
    except (RPCError, WorkflowQueryFailedError, TimeoutError):
        return (UNKNOWN,) if seen.workflow_type in SAGAS else ()
    settled = {*told.undone, *(given_up.step for given_up in told.abandoned)}
    done = (step for step in told.done if step not in settled)
    return tuple(dict.fromkeys((*done, *told.open)))


async def _see_what_stays(
    ending: Ending, seen: WorkflowExecutionDescription, before: tuple[str, ...]
) -> tuple[str, ...]:
    """Look again: the run may have gone on between the look and its end.

    Raises:
        DecisionRefusedError: It did something meanwhile that nobody has given up.
    """
    stays = await left_to_undo(ending.client, seen)
    if stays in {before, (UNKNOWN,)}:
        return before
    if ending.abandon:
        await _record(ending, seen, stays)
        return stays
    raise DecisionRefusedError(
        f"Run {seen.id} is terminated, but did something in the last moment that stays done: "
        f"{', '.join(stays)}. Have it go on with `durable-agents restart {seen.id} --list`, and "
        "cancel it then if it is to be undone."
    )


async def _record(
    ending: Ending, seen: WorkflowExecutionDescription, stays: tuple[str, ...]
) -> list[str]:
    """Write down what stays done, before the run ends; tells the refunds that are given up.

    In this order: a refund of a run that has ended is taken up within seconds. If the run goes
    on after all, it finds its refund given up and leaves it.
    """
    if not stays:
        return []
    who = ending.by or "somebody who gave no name"
    message = f"{who} terminated the run and left {', '.join(stays)} done ({ending.reason})."
    error = LoggedError(type=ABANDONED, message=message[:4000])
    namespace, first = ending.client.namespace, seen.raw_info.first_run_id
    async with ending.database.transaction() as connection:
        refunds = await abandon_of_chain(
            connection, namespace, first, reason=ending.reason, by=ending.by
        )
        await log_error(connection, workflow_id=seen.id, run_id=seen.run_id, step=STEP, error=error)
    return [refund.what() for refund in refunds]


def _report(done: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": done.run.workflow_id, "run": done.run.run_id, **done.facts})
        return
    say(f"Run {done.run.workflow_id} is terminated.")
    if done.facts["stays_done"]:
        note(f"Stays done: {', '.join(done.facts['stays_done'])}.", "yellow")
    for refund in done.facts["refunds_given_up"]:
        note(f"Given up: {refund}. No worker takes it up.", "yellow")


if __name__ == "__main__":
    main_of(terminate)
