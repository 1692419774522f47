"""Versions of the workers: which one gets new work, and which still has runs to finish."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table
from temporalio.client import Client

from durable_agents.clients import versions
from durable_agents.clients.versions import Deployment
from durable_agents.models.errors import InputError, NotFoundError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.options import AsJson
from starters.terminal import EXIT_STILL_OPEN, fail, note, out, plain, print_json, run, say

LOOK_EVERY_S = 2
NO_VERSION = "No version is current."
NONE_YET = "No worker with a version has asked for work so far: set WORKER_BUILD_ID to have one."

app = typer.Typer(help=__doc__, no_args_is_help=True)

BuildId = Annotated[str, typer.Argument(metavar="BUILD_ID", help="As WORKER_BUILD_ID says.")]


@app.command("list")
def list_versions(as_json: AsJson = False) -> None:
    """List the versions: where each stands, and how many open runs are pinned to it."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        found = await versions.find_deployment(client, settings.worker_deployment_name)
        if as_json:
            print_json((found or Deployment()).model_dump(mode="json", exclude_defaults=False))
        elif found is None:
            say(NONE_YET)
        else:
            out.print(_table(found))
            if not found.current:
                note(f"{NO_VERSION[:-1]}: workers without a version get the work.")

    run(work, as_json=as_json)


@app.command()
def set_current(
    build_id: Annotated[str, typer.Argument(metavar="[BUILD_ID]", help="The version's.")] = "",
    unversioned: Annotated[
        bool, typer.Option("--unversioned", help="Workers without a version get the work.")
    ] = False,
    configured: Annotated[
        bool, typer.Option("--configured", help="What WORKER_BUILD_ID says; unversioned if empty.")
    ] = False,
    within: Annotated[
        float, typer.Option(help="Seconds to wait for the version's first worker.", min=0.1)
    ] = 30,
) -> None:
    """Let new runs, and those that follow new versions, go to the workers of a version."""
    if sum((bool(build_id), unversioned, configured)) != 1:
        raise typer.BadParameter("give a BUILD_ID, --unversioned or --configured.")

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        chosen = settings.worker_build_id if configured else build_id
        for line in await make_current(client, settings, chosen, within_s=within):
            say(line)

    run(work)


@app.command()
def ramp(
    build_id: BuildId,
    percent: Annotated[float, typer.Argument(help="Of the new runs, from 0 to 100.")],
    within: Annotated[
        float, typer.Option(help="Seconds to wait for the version's first worker.", min=0.1)
    ] = 30,
) -> None:
    """Let a part of the new runs, and of those that follow, go to the workers of a version."""

    async def work(settings: Settings) -> None:
        if not 0 <= percent <= 100:
            raise InputError(f"{percent:g} is no part of the new runs: give 0 to 100.")
        client = await connect(settings)
        name = settings.worker_deployment_name
        chosen = build_id if percent else ""
        if not percent:
            await _is_ramping(client, name, build_id)
        await versions.set_ramping(client, name, chosen, percent, within_s=within)
        say(f"{name}.{build_id} gets {percent:g} % of the new runs.")

    run(work)


@app.command()
def drained(
    build_id: BuildId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until none is left.")] = False,
) -> None:
    """Tell whether a version's workers can be stopped; exit code 4 while runs are pinned to it."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        while True:
            pinned = await _pinned_to(client, settings, build_id)
            if not pinned:
                say(f"No open run is pinned to {build_id}: its workers can be stopped.")
                return
            if not wait:
                fail(f"{_runs(pinned)} pinned to {build_id}: keep its workers.", EXIT_STILL_OPEN)
            await asyncio.sleep(LOOK_EVERY_S)

    run(work)


async def make_current(
    client: Client, settings: Settings, build_id: str, *, within_s: float = 30
) -> list[str]:
    """Make a version current, or none where the build id is empty; tells what that means.

    Raises:
        NotFoundError: No worker of this version asks for work.
    """
    name = settings.worker_deployment_name
    before = await versions.find_deployment(client, name)
    current = before.current if before else ""
    if build_id != current:
        await versions.set_current(client, name, build_id, within_s=within_s)
    told = [f"{name}.{build_id} is current." if build_id else NO_VERSION]
    if current and current != build_id:
        told[0] = f"{told[0][:-1]}; it was {name}.{current}."
    for version in before.versions if before else ():
        if version.pinned and version.build_id != build_id:
            told.append(
                f"{_runs(version.pinned)} pinned to {version.build_id}: they go on as long as "
                f"workers of it run; `durable-agents versions drained {version.build_id}` tells "
                "when they can be stopped."
            )
    return told


async def _is_ramping(client: Client, name: str, build_id: str) -> None:
    """See that a version is the one that gets a part of the new runs.

    Raises:
        InputError: Another one is, or none.
    """
    found = await versions.find_deployment(client, name)
    ramping = found.ramping if found else ""
    if ramping != build_id:
        which = f"{ramping} is" if ramping else "none is"
        raise InputError(f"{build_id} is not being ramped up: {which}.")


async def _pinned_to(client: Client, settings: Settings, build_id: str) -> int:
    """How many open runs are pinned to a version that gets no new ones.

    Raises:
        NotFoundError: There is no such version.
        InputError: It gets new runs.
    """
    found = await versions.find_deployment(client, settings.worker_deployment_name)
    version = next((v for v in found.versions if v.build_id == build_id), None) if found else None
    if version is None:
        raise NotFoundError(
            f"There is no version {build_id}: `durable-agents versions list` shows those there are."
        )
    if version.stage in {"current", "ramping"}:
        raise InputError(
            f"{build_id} is {version.stage}, so that it gets new runs: make another version "
            "current first."
        )
    return version.pinned


def _runs(count: int) -> str:
    return "1 open run is" if count == 1 else f"{count} open runs are"


def _table(found: Deployment) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("build id", "stage", "pinned runs", "first seen"):
        table.add_column(heading)
    for one in found.versions:
        stage = f"ramping, {found.percentage:g} %" if one.stage == "ramping" else one.stage
        seen = f"{one.created_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(plain(one.build_id), stage, str(one.pinned), seen)
    return table
