"""Lists the steps of a run, for who wants to restart it from one."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from temporalio.client import Client

from durable_agents.clients.histories import RunSteps, Step, said_of
from durable_agents.clients.resets import chain_of
from durable_agents.models.errors import InputError, NotFoundError
from starters.inspect import find_run
from starters.terminal import note, out, plain, print_json


async def list_steps(client: Client, workflow_id: str, *, run_id: str, as_json: bool) -> None:
    """Print the steps of a run, in the order in which they were asked for.

    Args:
        client: Whom to ask.
        workflow_id: The run's id.
        run_id: Which run of the chain; the newest when empty.
        as_json: Print one JSON object.

    Raises:
        InputError: No id is given.
        NotFoundError: There is no such run, or none of this chain.
    """
    if not workflow_id:
        raise InputError("Say which run's steps are to be listed: give its id.")
    seen = await find_run(client, workflow_id)
    async for run in chain_of(client, seen.id, seen.run_id):
        if run_id in {"", run.run_id}:
            rows = [await _row(client, step) for step in run.steps]
            _show(run, rows, as_json=as_json)
            return
    raise NotFoundError(f"The chain of {workflow_id} has no run {run_id}, or not any more.")


async def _row(client: Client, step: Step) -> dict[str, Any]:
    return {
        "step": step.name,
        "kind": step.kind,
        "asked_at": step.asked_at,
        "ended": step.ended_at > 0,
        "about": await said_of(client, step),
    }


def _show(run: RunSteps, rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        told = {"id": run.workflow_id, "run": run.run_id, "continues": run.continues or None}
        print_json({**told, "steps": list(rows)})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("step", "kind", "asked at", "what"):
        table.add_column(column, overflow="fold")
    for row in rows:
        what = row["about"] if row["ended"] else f"{row['about']} (not ended)".lstrip()
        cells = (row["step"], row["kind"], str(row["asked_at"]), what)
        table.add_row(*map(plain, cells))
    out.print(table if rows else "No steps.")
    note(f"Run {run.run_id}. Steps asked for at the same event run again together.")
    if run.continues:
        note(f"It continues run {run.continues}: `--run {run.continues} --list` lists its steps.")
