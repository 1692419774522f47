"""Keys: make and look after what encrypts inputs, results and messages of runs."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from durable_agents.db import migrate, payload_keys
from durable_agents.db.engine import Database
from durable_agents.runtime.connection import namespace_of
from durable_agents.runtime.encryption import made_key, read_keys
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.terminal import note, run, say

app = typer.Typer(
    help="Keys: make and look after what encrypts inputs, results and messages of runs.",
    no_args_is_help=True,
)


@app.command()
def make(
    key_id: Annotated[
        str, typer.Argument(metavar="[ID]", help="What to call it; today's date when left out.")
    ] = "",
) -> None:
    """Make a key and print it as the line that `.env` takes; it is kept nowhere."""

    async def work(settings: Settings) -> None:
        present = settings.payload_keys.get_secret_value()
        read_keys(present)  # refuses to add to what cannot be read
        made = made_key(key_id or f"k{datetime.now(UTC):%Y%m%d}")
        written = ",".join(filter(None, (made, present)))
        read_keys(written)
        say(f"PAYLOAD_KEYS={written}")
        note(
            "The first key encrypts, all of them decrypt. Give workers all keys first, the new one "
            "last; when all know it, put it first. Keep keys apart from backups of the server."
        )

    run(work)


@app.command(name="list")
def list_keys() -> None:
    """Show the ids of the keys that are set, the one that encrypts first."""

    async def work(settings: Settings) -> None:
        keys = read_keys(settings.payload_keys.get_secret_value())
        if not keys:
            say("PAYLOAD_KEYS is not set: nothing is encrypted.")
        for place, name in enumerate(keys):
            say(f"{name}  {'decrypts' if place else 'encrypts and decrypts'}")

    run(work)


@app.command()
def forget(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="A key that no history needs.")],
) -> None:
    """Let workers start without a key that was in use; what it encrypted cannot be read then."""

    async def work(settings: Settings) -> None:
        database = Database(database_url(settings))
        try:
            await migrate.check(database)
            async with database.statement() as connection:
                await payload_keys.forget_key(connection, namespace_of(settings), key_id)
        finally:
            await database.close()
        say(f"Workers start without the key {key_id} from now on.")

    run(work)
