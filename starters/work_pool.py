"""The work pools: what they do, and how many jobs they run at once."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.table import Table
from temporalio.client import Client

from durable_agents.db import jobs, migrate, pools
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.models.errors import InputError
from durable_agents.models.jobs import FINISHED, JobStatus, PoolName, PoolStatus
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.options import AsJson
from starters.terminal import one_line, out, plain, print_json, run, run_to_end, say

SHOWN: tuple[JobStatus, ...] = ("queued", "delayed", "running", *FINISHED)
NEGATIVE = {"ignore_unknown_options": True}  # so that -1 is a number, and refused as one

Name = Annotated[str, typer.Argument(metavar="NAME", help="The pool's name.")]
Number = Annotated[int, typer.Argument(metavar="N", help="How many jobs may run at once.")]

app = typer.Typer(help=__doc__, no_args_is_help=True)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Database]:
    """The database, whose tables must be up to date."""
    database = Database(database_url(settings))
    try:
        await migrate.check(database)
        yield database
    finally:
        await database.close()


@app.command(context_settings=NEGATIVE)
def create(
    name: Name,
    parallelism: Annotated[int, typer.Option(help="How many jobs may run at once.")] = 10,
    keep: Annotated[float, typer.Option(help="Days that finished jobs are kept.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Make a pool; one that is there gets what is given here."""

    async def work(settings: Settings) -> None:
        pool = TypeAdapter[str](PoolName).validate_python(name)
        client = await connect(settings)
        async with opened(settings) as database:
            async with database.transaction() as connection:
                await pools.ensure_pool(connection, pool, max_parallelism=parallelism)
                await pools.configure(connection, pool, retention_s=round(keep * 86_400))
            _tell(await lanes.resize(client, database, pool, parallelism), as_json=as_json)

    run(work, as_json=as_json)


@app.command("list")
def list_pools(as_json: AsJson = False) -> None:
    """List the pools and how many of their jobs stand where."""

    async def work(settings: Settings) -> None:
        async with opened(settings) as database, database.statement() as connection:
            found = await pools.list_pools(connection)
        if as_json:
            print_json([pool.model_dump(mode="json", exclude={"tenants"}) for pool in found])
        else:
            out.print(_table(found) if found else "No pools.")

    run(work, as_json=as_json)


@app.command()
def status(name: Name, as_json: AsJson = False) -> None:
    """Tell how a pool stands, in all and per tenant."""

    async def work(settings: Settings) -> None:
        async with opened(settings) as database, database.statement() as connection:
            found = await pools.status(connection, name)
        if as_json:
            print_json(found.model_dump(mode="json"))
            return
        out.print(_table([found]))
        if {each.tenant for each in found.tenants} - {""}:
            out.print(_tenants(found))

    run(work, as_json=as_json)


@app.command(context_settings=NEGATIVE)
def resize(name: Name, number: Number, as_json: AsJson = False) -> None:
    """Change how many jobs run at once; none that runs is stopped."""
    _change(name, lambda c, d: lanes.resize(c, d, name, number), as_json=as_json)


@app.command()
def pause(name: Name, as_json: AsJson = False) -> None:
    """Begin no more jobs; those that run are finished."""
    _change(name, lambda c, d: lanes.pause(c, d, name), as_json=as_json)


@app.command()
def resume(name: Name, as_json: AsJson = False) -> None:
    """Go on beginning jobs."""
    _change(name, lambda c, d: lanes.resume(c, d, name), as_json=as_json)


@app.command()
def cancel(
    name: Name,
    job: Annotated[int | None, typer.Argument(metavar="[JOB]", help="The job's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All jobs of the pool.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a job, or all: at once if it has not begun; one that runs is told to stop."""

    async def work(settings: Settings) -> None:
        if (job is None) != everything:
            raise InputError("Name one job by its id, or give --all.")
        client = await connect(settings)
        async with opened(settings) as database:
            if job is None:
                waiting, running = await lanes.cancel_all(client, database, name)
                told: dict[str, Any] = {"cancelled": waiting, "told_to_stop": running}
                sentence = f"Cancelled {waiting} jobs; {running} that run were told to stop."
            else:
                stands = await lanes.cancel(client, database, name, job)
                told = {"job_id": job, "status": stands}
                sentence = _CANCELLED.get(stands, f"It has ended already ({stands}).")
        print_json(told) if as_json else say(sentence)

    run(work, as_json=as_json)


_CANCELLED = {"cancelled": "Cancelled.", "running": "It runs, and was told to stop."}


@app.command("jobs")
def list_jobs(
    name: Name,
    only: Annotated[
        str, typer.Option("--status", help=f"Only these: {', '.join(SHOWN)}.", show_default=False)
    ] = "",
    batch: Annotated[str, typer.Option(help="Only jobs of this batch.", show_default=False)] = "",
    after: Annotated[int, typer.Option(help="Only jobs after this id.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs by their ids, with what failed."""

    async def work(settings: Settings) -> None:
        chosen: JobStatus | None = next((status for status in SHOWN if status == only), None)
        if only and chosen is None:
            raise InputError(f"No job is ever {only}: give one of {', '.join(SHOWN)}.")
        async with opened(settings) as database, database.statement() as connection:
            await pools.find_pool(connection, name)
            found = await jobs.list_jobs(
                connection, name, status=chosen, batch=batch or None, after=after, limit=limit
            )
        if as_json:
            print_json([row.model_dump(mode="json") for row in found])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("job", "kind", "status", "tries failed", "tenant", "about", "error"):
            table.add_column(column, overflow="fold")
        for row in found:
            cells = (row.job_id, row.kind, row.status, row.failures, row.tenant, row.about)
            table.add_row(*(plain(str(cell)) for cell in cells), plain(one_line(row.error)))
        out.print(table if found else "No jobs.")

    run(work, as_json=as_json)


def _change(
    name: str,
    change: Callable[[Client, Database], Awaitable[PoolStatus]],
    *,
    as_json: bool,
) -> None:
    """Change a pool, and tell how it is then."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        async with opened(settings) as database:
            _tell(await change(client, database), as_json=as_json)

    run(work, as_json=as_json)


def _tell(pool: PoolStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(pool.model_dump(mode="json", exclude={"counts", "tenants"}))
        return
    state = "is paused" if pool.is_paused else f"runs {pool.max_parallelism} jobs at once"
    say(f"Pool {pool.pool} {state}.")


def _table(found: list[PoolStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("pool", "at once", *SHOWN):
        table.add_column(column, overflow="fold")
    for pool in found:
        at_once = "paused" if pool.is_paused else str(pool.max_parallelism)
        counts = (str(pool.counts.get(status, 0)) for status in SHOWN)
        table.add_row(plain(pool.pool), at_once, *counts)
    return table


def _tenants(pool: PoolStatus) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("tenant", *SHOWN):
        table.add_column(column, overflow="fold")
    for tenant in dict.fromkeys(each.tenant for each in pool.tenants):
        counts = {each.status: each.count for each in pool.tenants if each.tenant == tenant}
        row = (str(counts.get(status, 0)) for status in SHOWN)
        table.add_row(plain(tenant or "-"), *row)
    return table


if __name__ == "__main__":
    run_to_end(app, "python -m starters.work_pool")
