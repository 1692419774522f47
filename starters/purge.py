"""Delete what has been kept for long enough, or what is kept of one person.

What is deleted and what stays is told in `docs/retention.md`.
"""

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from temporalio.client import Client

from durable_agents.clients.kept_runs import history_retention, kept_runs
from durable_agents.db.engine import Database
from durable_agents.db.migrate import check
from durable_agents.db.retention import KINDS, purge_table
from durable_agents.models.errors import InputError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.choosing import DryRun, Yes, ask, said
from starters.database import database_url
from starters.options import AsJson
from starters.purge_person import purge_person
from starters.terminal import main_of, note, out, plain, print_json, run

USUAL_DAYS = 90.0
MOST_DAYS = 36_500


OlderThan = Annotated[
    float,
    typer.Option(
        metavar="DAYS", help="Delete what was last of use before that.", min=0, max=MOST_DAYS
    ),
]
Only = Annotated[
    str,
    typer.Option(metavar="KINDS", help=f"Only these, as a,b: {', '.join(KINDS)}.", callback=said),
]
OfPerson = Annotated[
    str,
    typer.Option("--user", help="What is kept of this user, whatever its age.", callback=said),
]


def purge(
    older_than: OlderThan = USUAL_DAYS,
    only: Only = "",
    user: OfPerson = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete what has been kept for long enough; --user deletes what is kept of one person."""

    async def work(settings: Settings) -> None:
        kinds = _kinds(only)
        async with _parts(settings) as (client, database):
            if user:
                if only:
                    raise InputError("--user deletes everything of a person: leave --only out.")
                await purge_person(
                    client, database, user, dry_run=dry_run, yes=yes, as_json=as_json
                )
                return
            before, retention = await _before(client, older_than)
            if not dry_run:
                ask(f"Delete {', '.join(kinds)} from before {before:%Y-%m-%d %H:%M} UTC?", yes=yes)
            kept = await kept_runs(client, retention)
            rows = [
                {"kind": kind, "table": table.name, "rows": count}
                for kind in kinds
                for table in KINDS[kind]
                for count in [
                    await purge_table(database, table, before=before, kept=kept, delete=not dry_run)
                ]
            ]
        _tell(rows, before, dry_run=dry_run, as_json=as_json)

    run(work, as_json=as_json)


@asynccontextmanager
async def _parts(settings: Settings) -> AsyncGenerator[tuple[Client, Database]]:
    database = Database(database_url(settings), pool_size=2)
    try:
        await check(database)
        yield await connect(settings, database=database), database
    finally:
        await database.close()


def _kinds(only: str) -> list[str]:
    """The kinds that are named; all when none is.

    Raises:
        InputError: There is none of this name.
    """
    named = [kind.strip() for kind in only.split(",") if kind.strip()]
    unknown = [kind for kind in named if kind not in KINDS]
    if unknown:
        raise InputError(f"There is no kind {unknown[0]}. There are: {', '.join(KINDS)}.")
    return named or list(KINDS)


async def _before(client: Client, older_than: float) -> tuple[datetime, timedelta]:
    """The moment before which things are deleted, and how long histories are kept.

    Raises:
        InputError: It is no number, or not long enough ago: runs whose histories are kept need
            what they wrote.
    """
    if math.isnan(older_than):
        raise InputError("--older-than takes a number of days.")
    retention = await history_retention(client)
    asked = timedelta(days=older_than)
    if asked < retention:
        raise InputError(
            f"The Temporal server keeps histories for {_days(retention)} (namespace "
            f"{client.namespace}), and a run that is reset looks for what it wrote: give "
            f"--older-than {_days(retention).split(' ', maxsplit=1)[0]} or more, or lower the "
            f"namespace's retention first."
        )
    return datetime.now(UTC) - asked, retention


def _days(given: timedelta) -> str:
    days = given / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"


def _tell(
    rows: Sequence[dict[str, Any]], before: datetime, *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        print_json({"before": before.isoformat(), "dry_run": dry_run, "tables": list(rows)})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "table", "would be deleted" if dry_run else "deleted"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(plain(str(value)) for value in row.values()))
    out.print(table)
    note(f"From before {before:%Y-%m-%d %H:%M} UTC; what runs need that the server keeps stays.")


if __name__ == "__main__":
    main_of(purge)
