"""Has an agent ask to file a ticket, and reads the request and the ticket."""

from typing import Any

from sqlalchemy import text
from temporalio.client import Client

from durable_agents.db.approval_lists import RequestRecord
from durable_agents.db.engine import Database
from tests.workflows import runs
from tests.workflows.reviewing import Handle, rows_of

STEP = "wait for approval file_ticket-1.1"


async def filing(client: Client, word: str, **options: Any) -> Handle:
    """An agent that waits for leave to file a ticket."""
    task = f"file a ticket for account A-1001: printer {word} is on fire"
    handle = await runs.start_react(client, task, **options)
    await runs.until_step(handle, STEP)
    return handle


async def tickets_about(database: Database, word: str) -> int:
    query = text("SELECT count(*) FROM tickets WHERE description LIKE :word OR subject LIKE :word")
    async with database.statement() as connection:
        return int(await connection.scalar(query, {"word": f"%{word}%"}) or 0)


async def request_of(database: Database, handle: Handle) -> RequestRecord:
    (row,) = await rows_of(database, handle)
    return row
