"""Look at runs."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import NotFoundError
from durable_agents.models.status import RunStatus
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.settings import Settings
from starters.failures import failure_of
from starters.options import AsJson, RunId
from starters.progress import QUERY_TIMEOUT_S, trouble_of
from starters.terminal import one_line, out, plain, print_json, run

_STATUS_COLOURS: Mapping[str, str] = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "terminated": "red",
    "timed_out": "red",
}


def status(workflow_id: RunId, as_json: AsJson = False) -> None:
    """Where a run is: state, step, error, usage."""

    async def work(settings: Settings) -> None:
        facts = await _facts(settings, await connect(settings), workflow_id)
        if as_json:
            print_json(facts)
            return
        for name, value in facts.items():
            if value not in ("", None, [], 0):
                out.print(Text.assemble((f"{name:<12} ", "bold"), plain(_words(value))))

    run(work, as_json=as_json)


async def _facts(settings: Settings, client: Client, workflow_id: str) -> dict[str, Any]:
    """All that is known of a run: by the server, and by the run itself where a worker answers."""
    seen = await find_run(client, workflow_id)
    told = await _status_of(client, workflow_id)
    running = seen.status == WorkflowExecutionStatus.RUNNING
    facts: dict[str, Any] = {
        **_row(settings, client, seen),
        **dict.fromkeys(RunStatus.model_fields),
        **(told.model_dump(mode="json") if told else {}),
    }
    if told is None and running:
        facts["error"] = "No worker answers just now; start one with `python -m workers`."
    elif not facts["error"]:
        facts["error"] = await _failure(client, seen)
    facts["trouble"] = await trouble_of(client.get_workflow_handle(seen.id)) if running else ""
    return facts


def list_runs(
    query: Annotated[str, typer.Option(help="A visibility query of Temporal's.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first; filter with --query, for example "Pattern = 'react'"."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        runs = [seen async for seen in client.list_workflows(query or None, limit=limit)]
        if as_json:
            print_json([_row(settings, client, seen) for seen in runs])
        else:
            out.print(_table(runs) if runs else "No runs.")

    run(work, as_json=as_json)


def _row(settings: Settings, client: Client, seen: WorkflowExecution) -> dict[str, Any]:
    return {
        "id": seen.id,
        "run": seen.run_id,
        "workflow": seen.workflow_type,
        "status": status_name(seen.status),
        "started": seen.start_time.isoformat(),
        "closed": seen.close_time.isoformat() if seen.close_time else None,
        "url": run_url(settings, client.namespace, seen.id, seen.run_id),
    }


def _table(runs: Sequence[WorkflowExecution]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("id", "workflow", "status", "started"):
        table.add_column(column, overflow="fold")
    for seen in runs:
        name = status_name(seen.status)
        table.add_row(
            plain(seen.id),
            plain(seen.workflow_type),
            plain(name, _STATUS_COLOURS.get(name, "yellow")),
            seen.start_time.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        )
    return table


async def find_run(client: Client, workflow_id: str) -> WorkflowExecutionDescription:
    """Look a run up.

    Raises:
        NotFoundError: There is none of this id.
    """
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
            raise NotFoundError(
                f"There is no run {workflow_id}. `durable-agents list` shows those there are."
            ) from error
        raise


async def find_open_run(
    client: Client, workflow_id: str, verb: str
) -> WorkflowExecutionDescription:
    """Look up a run that is to be stopped in some way.

    Raises:
        NotFoundError: There is none of this id, or it has ended already.
    """
    seen = await find_run(client, workflow_id)
    if seen.status != WorkflowExecutionStatus.RUNNING:
        raise NotFoundError(
            f"Run {seen.id} has ended already ({status_name(seen.status)}); "
            f"there is nothing to {verb}."
        )
    return seen


async def _status_of(client: Client, workflow_id: str) -> RunStatus | None:
    """What the run tells of itself; None when no worker answers."""
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await client.get_workflow_handle(workflow_id).query(
                "status", result_type=RunStatus
            )
    except (RPCError, WorkflowQueryFailedError, TimeoutError):
        return None


async def _failure(client: Client, seen: WorkflowExecution) -> str:
    """Why a run that has ended did not complete, as the server knows it."""
    if seen.status in {None, WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED}:
        return ""
    try:
        await client.get_workflow_handle(seen.id, run_id=seen.run_id).result()
    except WorkflowFailureError as error:
        return failure_of(error)[1]
    return ""


def status_name(status: WorkflowExecutionStatus | None) -> str:
    """A status of the server's in our words."""
    name = status.name.lower() if status is not None else "unknown"
    return {"canceled": "cancelled", "continued_as_new": "continued as new"}.get(name, name)


def _words(value: object) -> str:
    text = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return one_line(text)
