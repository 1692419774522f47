"""The vectors of passages: what they find, how they are made anew, and their index."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, text

from durable_agents.agent.sites import CallSite
from durable_agents.db import embedding_jobs, knowledge, vectors
from durable_agents.jobs.kind import JobServices
from durable_agents.jobs.kinds import reembed_document
from durable_agents.jobs.kinds.index_passages import INDEX_PASSAGES
from durable_agents.jobs.kinds.reembed_document import REEMBED_DOCUMENT
from durable_agents.models.errors import ConfigurationError, ModelUnavailableError
from durable_agents.models.ingestion import IndexPayload, ReembedPayload
from tests.jobs.ingesting import GUIDE, MODEL, chunks_of, ingest, run
from tests.workflows.runs import token


async def test_a_document_is_found_by_its_meaning_too(tools: JobServices) -> None:
    name, word = f"docs/{token()}.md", token()
    await ingest(tools, name, f"# Care\n\nThe {word}ing of {word}s takes patience.")

    assert tools.embedder is not None
    site = CallSite(workflow_id="test", run_id="", step="embed", attempt=1)
    near = await tools.embedder.embed([f"{word}s"], site)
    async with tools.database.transaction() as connection:
        first, *_ = await knowledge.search(connection, f"{word}s", meaning=near)
        by_words = await knowledge.search(connection, f"{word}s")

    assert (first.source, first.found_by) == (name, "both")
    assert [hit.source for hit in by_words] == [name]


async def test_reembedding_moves_a_document_to_the_current_model(tools: JobServices) -> None:
    name = f"docs/{token()}.md"
    await ingest(tools, name, GUIDE)
    async with tools.database.statement() as connection:
        await connection.execute(
            text(
                "UPDATE chunks SET embedding_model = 'older', embedding_dimension = 3,"
                " embedding = '[1,2,3]' WHERE document_id = :id"
            ),
            {"id": name},
        )

    first = await run(tools, REEMBED_DOCUMENT, ReembedPayload(document_id=name))
    again = await run(tools, REEMBED_DOCUMENT, ReembedPayload(document_id=name))

    moved = await chunks_of(tools.database, name)
    assert (first.chunks, again.chunks) == (2, 0)
    assert [(one.embedding_model, one.embedding_dimension) for one in moved] == [(MODEL, 256)] * 2


async def test_reembedding_replaces_vectors_of_another_length(tools: JobServices) -> None:
    name = f"docs/{token()}.md"
    await ingest(tools, name, GUIDE)
    async with tools.database.statement() as connection:
        await connection.execute(
            text(
                "UPDATE chunks SET embedding_dimension = 3, embedding = '[1,2,3]'"
                " WHERE document_id = :id AND position = 0"
            ),
            {"id": name},
        )

        lacking = await embedding_jobs.documents_without(connection, MODEL, 256)
    done = await run(tools, REEMBED_DOCUMENT, ReembedPayload(document_id=name, dimension=256))

    moved = await chunks_of(tools.database, name)
    assert name in lacking
    assert done.chunks == 1
    assert [one.embedding_dimension for one in moved] == [256, 256]


async def test_reembedding_that_fails_in_the_middle_keeps_what_it_has_paid_for(
    tools: JobServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reembed_document, "AT_ONCE", 1)
    name = f"docs/{token()}.md"
    await ingest(tools, name, GUIDE)
    async with tools.database.statement() as connection:
        older = "UPDATE chunks SET embedding_model = 'older' WHERE document_id = :id"
        await connection.execute(text(older), {"id": name})
    assert tools.embedder is not None
    embed, asked = tools.embedder.embed, list[Sequence[str]]()

    async def embed_once(texts: Sequence[str], *rest: Any) -> Any:
        asked.append(texts)
        if len(asked) > 1:
            raise ModelUnavailableError("Away.")
        return await embed(texts, *rest)

    with monkeypatch.context() as failing:
        failing.setattr(tools.embedder, "embed", embed_once)
        with pytest.raises(ModelUnavailableError):
            await run(tools, REEMBED_DOCUMENT, ReembedPayload(document_id=name))
    between = [one.embedding_model for one in await chunks_of(tools.database, name)]
    again = await run(tools, REEMBED_DOCUMENT, ReembedPayload(document_id=name))

    assert between == [MODEL, "older"]
    assert again.chunks == 1
    assert [one.embedding_model for one in await chunks_of(tools.database, name)] == [MODEL] * 2


async def test_reembedding_without_a_model_says_what_to_set(tools: JobServices) -> None:
    payload = ReembedPayload(document_id="x")

    with pytest.raises(ConfigurationError, match="OPENAI_EMBEDDING_MODEL"):
        await run(replace(tools, embedder=None), REEMBED_DOCUMENT, payload)


async def test_an_index_is_made_once_it_pays_is_used_and_goes_with_its_model(
    tools: JobServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest(tools, f"docs/{token()}.md", GUIDE)
    before = await run(tools, INDEX_PASSAGES, IndexPayload())
    monkeypatch.setattr(vectors, "INDEX_FROM", 1)

    at_once = await asyncio.gather(*(vectors.build_index(tools.database, MODEL) for _ in range(3)))
    again = await run(tools, INDEX_PASSAGES, IndexPayload())
    async with tools.database.transaction() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        found = await vectors.nearest(connection, MODEL, [1.0, *[0.0] * 255], 3)
        used = await connection.scalar(
            text("SELECT pg_stat_get_xact_numscans(to_regclass(:name))"),
            {"name": vectors.index_name(MODEL, 256)},
        )
        due = await vectors.index_is_due(connection, MODEL)

    assert (before.made, again.made, due) == (False, False, False)
    assert sum(at_once) == 1
    assert len(found) <= 3
    assert used == 1
    async with tools.database.statement() as connection:
        await connection.execute(
            text(
                "UPDATE chunks SET embedding_model = 'next: it''s 100%' WHERE embedding IS NOT NULL"
            )
        )
    assert await vectors.build_index(tools.database, "next: it's 100%")
    async with tools.database.statement() as connection:
        old = await connection.scalar(select(func.to_regclass(vectors.index_name(MODEL, 256))))
    assert old is None


async def test_search_looks_at_vectors_of_the_current_model_alone(tools: JobServices) -> None:
    name = f"docs/{token()}.md"
    await ingest(tools, name, "# Zithers\n\nA zither has strings.")
    async with tools.database.transaction() as connection:
        await connection.execute(
            text("UPDATE chunks SET embedding_model = 'older' WHERE document_id = :id"),
            {"id": name},
        )
        (row,) = await chunks_of(tools.database, name)
        near = await vectors.nearest(connection, MODEL, row.embedding, 10)
        older = await vectors.nearest(connection, "older", row.embedding, 10)

    assert row.chunk_id not in near
    assert older == [row.chunk_id]
