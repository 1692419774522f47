"""Look at runs, and cancel them."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import NotFoundError
from durable_agents.models.status import RunStatus
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.settings import Settings
from starters.options import AsJson
from starters.progress import describe
from starters.running import failure_of
from starters.terminal import err, out, run

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]
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
        client = await connect(settings)
        seen = await _describe(client, workflow_id)
        told = await _status_of(client, workflow_id)
        facts: dict[str, Any] = {
            "id": seen.id,
            "run": seen.run_id,
            "workflow": seen.workflow_type,
            "status": status_name(seen.status),
            "started": seen.start_time.isoformat(),
            "closed": seen.close_time.isoformat() if seen.close_time else None,
            "url": run_url(settings, client.namespace, seen.id, seen.run_id),
            **(told.model_dump(mode="json") if told else {"error": await _failure(client, seen)}),
        }
        if told is None and seen.status == WorkflowExecutionStatus.RUNNING:
            facts["error"] = "No worker answers just now; start one with `python -m workers`."
        if as_json:
            out.print_json(json.dumps(facts))
            return
        for name, value in facts.items():
            if value not in ("", None, [], 0):
                out.print(f"[bold]{name:<12}[/bold] {_plain(value)}")
        if seen.status == WorkflowExecutionStatus.RUNNING:
            line = await describe(client.get_workflow_handle(workflow_id), deep=True)
            err.print(f"[dim]{line}[/dim]")

    run(work)


def list_runs(
    query: Annotated[str, typer.Option(help="A visibility query of Temporal's.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first; filter with --query, for example "Pattern = 'react'"."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        rows = [_row(seen) async for seen in client.list_workflows(query or None, limit=limit)]
        if as_json:
            out.print_json(json.dumps(rows))
            return
        table = Table("id", "workflow", "status", "started", box=None, pad_edge=False)
        for row in rows:
            colour = _STATUS_COLOURS.get(row["status"], "yellow")
            shown = f"[{colour}]{row['status']}[/{colour}]"
            table.add_row(row["id"], row["workflow"], shown, row["started"])
        out.print(table if rows else "No runs.")

    run(work)


def cancel(workflow_id: RunId) -> None:
    """Cancel a run: it stops at its current step, and compensates where it has to."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        seen = await _describe(client, workflow_id)
        if seen.status != WorkflowExecutionStatus.RUNNING:
            raise NotFoundError(
                f"Run {workflow_id} has ended already ({status_name(seen.status)}); "
                "there is nothing to cancel."
            )
        await client.get_workflow_handle(workflow_id).cancel()
        out.print(f"Asked {workflow_id} to stop.")

    run(work)


async def _describe(client: Client, workflow_id: str) -> WorkflowExecution:
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


async def _status_of(client: Client, workflow_id: str) -> RunStatus | None:
    """What the run tells of itself; None when no worker answers."""
    try:
        return await client.get_workflow_handle(workflow_id).query("status", result_type=RunStatus)
    except (RPCError, WorkflowQueryFailedError):
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


def _row(seen: WorkflowExecution) -> dict[str, str]:
    return {
        "id": seen.id,
        "workflow": seen.workflow_type,
        "status": status_name(seen.status),
        "started": seen.start_time.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
    }


def status_name(status: WorkflowExecutionStatus | None) -> str:
    """A status of the server's in our words."""
    name = status.name.lower() if status is not None else "unknown"
    return {"canceled": "cancelled", "continued_as_new": "continued as new"}.get(name, name)


def _plain(value: object) -> str:
    text = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return text.replace("[", r"\[")
