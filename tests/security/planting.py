"""Puts an attacker's text where attackers can put it, for a test that lets the model obey it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from durable_agents.db import library
from durable_agents.db.engine import Database
from tests.steering import Simulator

OBEYS: dict[str, Any] = {"kind": "obey", "times": -1}


@asynccontextmanager
async def poisoned(database: Database, word: str, *orders: str) -> AsyncGenerator[None]:
    """A document of the knowledge base that holds orders to the model, for as long as this lasts.

    A search for the word finds it.
    """
    content = f"The {word} policy of refunds.\n" + "\n".join(orders)
    async with database.transaction() as connection:
        await library.add_document(
            connection,
            document_id=f"poison-{word}",
            title=f"The {word} policy",
            source=f"upload:{word}",
            content=content,
        )
    try:
        yield
    finally:
        async with database.transaction() as connection:
            await library.delete_documents(connection, [f"poison-{word}"])


async def tickets_with(database: Database, word: str) -> int:
    """How many tickets speak of a word."""
    query = text("SELECT count(*) FROM tickets WHERE strpos(subject || description, :word) > 0")
    async with database.statement() as connection:
        return int(await connection.scalar(query, {"word": word}) or 0)


async def observed(database: Database, thread: int) -> list[str]:
    """What the tools of a thread have answered."""
    query = text(
        "SELECT content FROM messages WHERE thread_id = :id AND role = 'tool' ORDER BY message_id"
    )
    async with database.statement() as connection:
        return [str(row[0]) for row in await connection.execute(query, {"id": thread})]


async def prompts_with(simulator: Simulator, word: str) -> str:
    """All that the model was sent with a word in it."""
    return "\n".join(str(call["body"]) for call in await simulator.calls(word))
