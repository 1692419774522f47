"""Who uses a command: by a token that the database knows, else by what they say of themselves.

What talks to the database is loaded where a token is set: that takes half a second.
"""

import asyncio
import os
from typing import TYPE_CHECKING

from durable_agents.models.errors import InputError
from durable_agents.models.people import Person
from durable_agents.runtime.settings import Settings
from starters.options import login

if TYPE_CHECKING:
    from durable_agents.db.engine import Database

TOKEN = "DURABLE_AGENTS_TOKEN"  # noqa: S105 - the name of a variable

WRONG_TOKEN = (
    f"{TOKEN} is not a token that lets anybody in: it is revoked, over, or of another database. "
    "`durable-agents users token NAME` makes one; unset it to go on as somebody unverified."
)


async def person_here(database: "Database") -> Person | None:
    """Whose token is set; None when none is.

    Raises:
        InputError: A token is set that lets nobody in.
    """
    secret = os.environ.get(TOKEN, "")
    if not secret:
        return None
    from durable_agents.db.access import person_of_token
    from durable_agents.db.denials import record_denial

    async with database.statement() as connection:
        person = await person_of_token(connection, secret)
        if person is None:
            await record_denial(
                connection, who="", what="command", why="token that lets nobody in", address=login()
            )
            raise InputError(WRONG_TOKEN)
    return person


def who_asks(settings: Settings) -> str:
    """The name of whoever starts a run: that of the token, else the login.

    Called while no event loop runs.

    Raises:
        InputError: A token is set that lets nobody in.
    """
    if not os.environ.get(TOKEN):
        return login()
    return asyncio.run(_name_of_token(settings))


async def _name_of_token(settings: Settings) -> str:
    from durable_agents.db.engine import Database
    from starters.database import database_url

    database = Database(database_url(settings), pool_size=1)
    try:
        person = await person_here(database)
    finally:
        await database.close()
    return person.name if person is not None else login()
