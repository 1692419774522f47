"""Searching the knowledge base, as people and agents do: by words, and by meaning."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from durable_agents.db import knowledge
from durable_agents.db.engine import Database
from durable_agents.db.full_text import readable
from durable_agents.db.knowledge import Hit
from durable_agents.db.vectors import EmbeddedTexts
from durable_agents.models.errors import ModelRequestError, QuotaSizeError, TransientError

PATIENCE_S = 5  # for the query's vector; found by words is better than not found

EmbedQuery = Callable[[str], Awaitable[EmbeddedTexts]]


@dataclass(frozen=True)
class Found:
    """What was found, the best first; `note` says why meaning played no part, if it should have."""

    hits: list[Hit]
    note: str = ""


async def find(database: Database, embed_query: EmbedQuery | None, query: str, limit: int) -> Found:
    """Search by words and by meaning; by words alone where no embedding model can be asked.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    meaning, note = None, ""
    if embed_query is not None and readable(query).strip():
        try:
            async with asyncio.timeout(PATIENCE_S):
                meaning = await embed_query(readable(query))
        except TimeoutError:
            note = "Only words were looked for: the embedding model did not answer in time."
        except (TransientError, ModelRequestError, QuotaSizeError) as error:
            note = f"Only words were looked for: {error.message}"
    async with database.transaction() as connection:
        return Found(await knowledge.search(connection, query, limit, meaning=meaning), note)
