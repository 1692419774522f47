"""Search the knowledge base, by words and by meaning.

python -m starters.search "How long does a refund take?"
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.text import Text

from durable_agents.agent.embedding import Embedder
from durable_agents.agent.knowledge_search import Found, find
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallSite
from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.models.errors import InputError
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.options import AsJson
from starters.terminal import main_of, note, out, plain, print_json, run
from workers.resources import embedder_of

SITE = CallSite(workflow_id="search", run_id="", step="embed", attempt=1)
WORDS_ALONE = "Only words were looked for: no embedding model is named (OPENAI_EMBEDDING_MODEL)."


def search(
    query: Annotated[str, typer.Argument(help="What to look for, in words.")],
    limit: Annotated[int, typer.Option(help="How many passages at most.", min=1, max=50)] = 5,
    as_json: AsJson = False,
) -> None:
    """Search the knowledge base, by words and by meaning; shows where each passage is from."""

    async def work(settings: Settings) -> None:
        if not query.strip():
            raise InputError("Say what to look for: the query is empty.")
        found = await _find(settings, query, limit)
        if found.note:
            note(found.note, "yellow")
        if as_json:
            print_json({"query": query, "note": found.note, "hits": [vars(h) for h in found.hits]})
        else:
            _show(found)

    run(work, as_json=as_json)


@asynccontextmanager
async def knowledge_base(settings: Settings) -> AsyncGenerator[Database]:
    """The database, once its tables are those of this release."""
    database = Database(database_url(settings), pool_size=2)
    try:
        await migrate.check(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def embedder_here(settings: Settings, database: Database) -> AsyncGenerator[Embedder | None]:
    """What gives texts their vectors in this process; None while no embedding model is named."""
    quotas = Quotas(database, calls=settings.quotas, tokens=settings.model_tokens_per_minute)
    embedder = embedder_of(settings, database, quotas)
    try:
        yield embedder
    finally:
        if embedder is not None:
            await embedder.close()


async def _find(settings: Settings, query: str, limit: int) -> Found:
    async with (
        knowledge_base(settings) as database,
        embedder_here(settings, database) as embedder,
    ):
        if embedder is None:
            found = await find(database, None, query, limit)
            return Found(found.hits, WORDS_ALONE)
        return await find(database, lambda one: embedder.embed([one], SITE), query, limit)


def _show(found: Found) -> None:
    if not found.hits:
        out.print("Nothing found.")
    for place, hit in enumerate(found.hits, 1):
        head = Text.assemble(
            (f"{place}  ", "dim"),
            plain(hit.title, "bold"),
            "  ",
            plain(hit.source, "cyan"),
            (f"  {hit.score:.4f}, by {hit.found_by}", "dim"),
        )
        out.print(head)
        for line in hit.excerpt.splitlines():
            out.print(plain(f"   {line}"))


if __name__ == "__main__":
    main_of(search)
