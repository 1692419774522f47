"""List the requests for people's decisions: what waits, for whom, since when, and until when."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import typer
from rich.table import Table

from durable_agents.db.approval_lists import RequestSummary, list_requests, meant_for
from durable_agents.db.engine import Database
from durable_agents.models.errors import InputError
from durable_agents.models.people import REVIEWER
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.options import AsJson
from starters.person import TOKEN, person_here
from starters.terminal import main_of, note, out, plain, print_json, run

Status = Literal["pending", "approved", "rejected", "expired", "withdrawn", "all"]


def reviews(
    status: Annotated[Status, typer.Option(help="How they stand.")] = "pending",
    kind: Annotated[
        Literal["review", "tool"] | None, typer.Option(help="Texts, or calls of tools.")
    ] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help=f"Only what is for me to decide, by {TOKEN}.")
    ] = False,
    search: Annotated[str, typer.Option(help="Words of the title, the run or a person.")] = "",
    run_of: Annotated[str, typer.Option("--run", metavar="ID", help="Of one run.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List what waits for people's decisions; what closes first comes first."""

    async def work(settings: Settings) -> None:
        database = Database(database_url(settings))
        try:
            person = await person_here(database) if mine else None
            if mine and person is None:
                raise InputError(f"--mine needs {TOKEN}: `durable-agents users token NAME`.")
            async with database.statement() as connection:
                found = await list_requests(
                    connection,
                    which=meant_for(person) if person is not None else None,
                    status=None if status == "all" else status,
                    kind=kind,
                    workflow_id=run_of,
                    search=search,
                    limit=limit,
                )
        finally:
            await database.close()
        if as_json:
            print_json([one.model_dump(mode="json") for one in found])
        else:
            _show(found, status)

    run(work, as_json=as_json)


def _show(found: list[RequestSummary], status: Status) -> None:
    if not found:
        note("Nothing waits for a decision." if status == "pending" else "There are none.")
        return
    now = datetime.now(UTC)
    table = Table("ID", "what", "asked by", "for", "age", "closes in", "status", box=None)
    for one in found:
        closes = span(one.closes_at - now) if one.closes_at and one.status == "pending" else ""
        by = f" by {one.decided_by}" if one.decided_by else ""
        what = f"{one.title}, revision {one.revision}" if one.kind == "review" else one.title
        whom = one.reviewer or REVIEWER
        age = span(now - one.created_at)
        state = f"{one.status}{by}"
        asked_by = one.asked_by or "-"
        cells = (str(one.request_id), what, asked_by, whom, age, closes, state)
        table.add_row(*(plain(cell) for cell in cells))
    out.print(table)
    if status == "pending":
        note("`durable-agents decide ID` shows one, and takes the decision.")


def span(length: timedelta) -> str:
    """A length of time in the largest unit that says enough: `5 min`, `3 h`, `2 days`."""
    seconds = max(length.total_seconds(), 0)
    for size, word in ((2 * 86400, "days"), (2 * 3600, "h"), (60, "min")):
        if seconds >= size:
            unit = {"days": 86400, "h": 3600, "min": 60}[word]
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds)} s"


if __name__ == "__main__":
    main_of(reviews)
