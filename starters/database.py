"""The database: bring its tables up to date, load the sample data."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.db.seed import seed as load
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import NO_DATABASE, Settings
from durable_agents.runtime.startup import once_there
from starters.terminal import Waiting, run, say

app = typer.Typer(help="The database: bring its tables up to date, load the sample data.")


@app.command()
def upgrade() -> None:
    """Bring the tables up to date; harmless when they are."""

    async def work(settings: Settings) -> None:
        url = database_url(settings)
        current = partial(migrate.current_revision, url)
        before = await once_there(current, settings.startup_wait_s, Waiting())
        await migrate.upgrade(url)
        now = migrate.head_revision()
        say(f"Up to date at {now}." if before == now else f"Upgraded to {now}.")

    run(work, waits=True)


@app.command()
def seed(
    folder: Annotated[Path, typer.Option(help="Where the sample data lies.")] = Path("examples"),
) -> None:
    """Load the sample data; harmless when it is there."""

    async def work(settings: Settings) -> None:
        database = Database(database_url(settings))
        try:
            await migrate.check(database)
            counts = await load(database, folder)
        finally:
            await database.close()
        told = ", ".join(f"{count} {name}" for name, count in vars(counts).items())
        say(f"The sample data is there: {told}.")

    run(work)


def database_url(settings: Settings) -> str:
    """Where the database is.

    Raises:
        ConfigurationError: Nothing says so.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        raise ConfigurationError(NO_DATABASE)
    return url
