"""Deletes what is kept of one person: the histories of their runs, then their rows."""

import asyncio
from collections.abc import Iterable, Sequence

from rich.table import Table
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.clients.kept_runs import open_runs_of, runs_of
from durable_agents.db.engine import Database
from durable_agents.db.erasure import Erased, count_rows, count_unfinished, erase, runs_named
from durable_agents.models.errors import DecisionRefusedError, InputError
from starters.choosing import AT_ONCE, ask
from starters.terminal import note, out, plain, print_json

NOBODY = "-"  # the search attribute of runs for no user
SHOWN = 10  # open runs that a sentence names


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
    await _check_nothing_runs(client, database, user_id)
    kept = await runs_of(client, user_id)
    runs = {run_id for _, run_id in kept} | await runs_named(database, user_id)
    if dry_run:
        found = await count_rows(database, user_id, runs)
        _tell(user_id, len(kept), found, dry_run=True, as_json=as_json)
        return
    ask(f"Delete what is kept of {user_id}, and the histories of {len(kept)} runs?", yes=yes)
    await _delete_histories(client, kept)
    found = await erase(database, user_id, runs)
    _tell(user_id, len(kept), found, dry_run=False, as_json=as_json)


async def _check_nothing_runs(client: Client, database: Database, user_id: str) -> None:
    """See that nothing goes on writing of this person.

    Raises:
        DecisionRefusedError: Something does.
    """
    open_runs = await open_runs_of(client, user_id)
    if open_runs:
        more = f" and {len(open_runs) - SHOWN} more" if len(open_runs) > SHOWN else ""
        raise DecisionRefusedError(
            f"Runs of {user_id} are at work: {', '.join(open_runs[:SHOWN])}{more}. Let them end, "
            f"or stop them with `durable-agents cancel --user {user_id}`."
        )
    jobs = await count_unfinished(database, user_id)
    if jobs:
        raise DecisionRefusedError(
            f"{jobs} job{'s' if jobs > 1 else ''} of {user_id} in the work pools are not finished: "
            "let them end, or cancel them with `durable-agents pool cancel`."
        )


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
