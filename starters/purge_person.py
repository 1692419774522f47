"""Deletes what is kept of one person: their rows, and the histories of their runs.

What names the runs goes last, so that whoever stops halfway may start again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.clients.kept_runs import ended_runs_of, open_runs_of
from durable_agents.db.engine import Database
from durable_agents.db.erasure import (
    CHANGES,
    LAST,
    Erased,
    count_rows,
    count_unfinished,
    erase,
    executions_named,
    runs_named,
)
from durable_agents.models.errors import DecisionRefusedError, InputError
from starters.choosing import AT_ONCE, ask
from starters.terminal import note, out, plain, print_json

NOBODY = "-"  # the search attribute of runs for no user
SHOWN = 10  # open runs that a sentence names
GONE = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT})
"""What the server says of a run that it has forgotten, and of what is no run: `job/7`."""


@dataclass(frozen=True)
class Traces:
    """What names a person: the histories that the server keeps, as id and run, and all runs."""

    histories: frozenset[tuple[str, str]]
    runs: frozenset[str]


async def purge_person(
    client: Client, database: Database, user_id: str, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Delete what is kept of a person, and say what.

    Raises:
        InputError: It is the sign of runs without a user.
        DecisionRefusedError: Runs or jobs of theirs are not finished; says which.
    """
    if user_id == NOBODY:
        raise InputError("`-` stands for runs without a user: name a person.")
    traces = await _look(client, database, user_id)
    if dry_run:
        found = await count_rows(database, user_id, traces.runs)
        _tell(user_id, len(traces.histories), found, dry_run=True, as_json=as_json)
        return
    if not yes:
        many = len(traces.histories)
        ask(f"Delete what is kept of {user_id}, and the histories of {many} runs?", yes=yes)
        traces = await _look(client, database, user_id)  # whoever was asked may have taken long
    found = await erase(database, user_id, traces.runs, changes=CHANGES)
    await _delete_histories(client, traces.histories)
    found += await erase(database, user_id, traces.runs, changes=LAST)
    _tell(user_id, len(traces.histories), found, dry_run=False, as_json=as_json)


async def _look(client: Client, database: Database, user_id: str) -> Traces:
    """Look for what names a person, and see that nothing goes on writing of them.

    Raises:
        DecisionRefusedError: Something does.
    """
    ended = set(await ended_runs_of(client, user_id))
    others = await executions_named(database, user_id) - ended
    others_open, others_ended = await _split(client, others)
    _refuse_open(user_id, sorted({*await open_runs_of(client, user_id), *others_open}))
    jobs = await count_unfinished(database, user_id)
    if jobs:
        raise DecisionRefusedError(
            f"{jobs} job{'s' if jobs > 1 else ''} of {user_id} in the work pools are not finished, "
            "or are waited for with others: let them end, or cancel them with `durable-agents pool "
            "cancel`."
        )
    histories = ended | others_ended
    runs = {run_id for _, run_id in histories} | await runs_named(database, user_id)
    return Traces(frozenset(histories), frozenset(runs))


def _refuse_open(user_id: str, open_runs: Sequence[str]) -> None:
    if open_runs:
        more = f" and {len(open_runs) - SHOWN} more" if len(open_runs) > SHOWN else ""
        raise DecisionRefusedError(
            f"Runs of {user_id} are at work: {', '.join(open_runs[:SHOWN])}{more}. Let them end, "
            "or stop them with `durable-agents cancel`."
        )


async def _split(
    client: Client, runs: Iterable[tuple[str, str]]
) -> tuple[list[str], set[tuple[str, str]]]:
    """The ids of those runs that are open, and those that have ended and are still kept."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> WorkflowExecutionStatus | None:
        async with turns:
            try:
                handle = client.get_workflow_handle(workflow_id, run_id=run_id)
                return (await handle.describe()).status
            except RPCError as error:
                if error.status in GONE:
                    return None
                raise

    named = list(runs)
    found = list(zip(named, await asyncio.gather(*(one(*run) for run in named)), strict=True))
    at_work = [run[0] for run, status in found if status == WorkflowExecutionStatus.RUNNING]
    ended = {run for run, status in found if status not in {None, WorkflowExecutionStatus.RUNNING}}
    return at_work, ended


async def _delete_histories(client: Client, runs: Iterable[tuple[str, str]]) -> None:
    """Have the server forget runs that have ended; one that is gone already is no failure."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> None:
        execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        request = DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=execution
        )
        async with turns:
            try:
                await client.workflow_service.delete_workflow_execution(request, retry=True)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise

    await asyncio.gather(*(one(*run) for run in runs))


def _tell(
    user_id: str, histories: int, found: Sequence[Erased], *, dry_run: bool, as_json: bool
) -> None:
    totals: dict[str, Erased] = {}
    for one in found:
        before = totals.get(one.table, Erased(table=one.table))
        totals[one.table] = Erased(
            table=one.table,
            deleted=before.deleted + one.deleted,
            emptied=before.emptied + one.emptied,
        )
    if as_json:
        tables = [one.model_dump(mode="json") for one in totals.values()]
        told = {"user": user_id, "dry_run": dry_run, "histories": histories}
        print_json({**told, "tables": tables})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("table", "deleted", "kept without the person"):
        table.add_column(column)
    touched = [one for one in totals.values() if one.deleted or one.emptied]
    for one in touched:
        table.add_row(plain(one.table), plain(str(one.deleted)), plain(str(one.emptied)))
    out.print(table if touched else plain(f"Nothing is kept of {user_id} in the database."))
    verb = "would be deleted" if dry_run else "are deleted"
    note(f"The histories of {histories} runs {verb}; payments stay with their orders.")
