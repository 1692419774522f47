"""The jobs that fill the knowledge base, on a real database, with the simulator's embeddings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select, text

from durable_agents.agent.asking import Asker
from durable_agents.agent.embedding import Embedder
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallSite
from durable_agents.clients.embeddings import EmbeddingClient
from durable_agents.clients.model import ModelClient
from durable_agents.db import embedding_jobs, jobs, knowledge, library, uploads, vectors
from durable_agents.db.engine import Database
from durable_agents.db.library import digest_of
from durable_agents.db.pool_tables import Upload
from durable_agents.db.tables import Chunk, Document, LlmCall
from durable_agents.db.uploads import NewUpload
from durable_agents.jobs.kind import JobContext, JobKind, JobServices
from durable_agents.jobs.kinds import ingest_document, reembed_document
from durable_agents.jobs.kinds.index_passages import INDEX_PASSAGES
from durable_agents.jobs.kinds.ingest_document import INGEST_DOCUMENT
from durable_agents.jobs.kinds.reembed_document import REEMBED_DOCUMENT
from durable_agents.models.errors import (
    ConfigurationError,
    InputError,
    ModelUnavailableError,
    ResponseTooLargeError,
    ServiceUnavailableError,
    StaleJobError,
)
from durable_agents.models.ingestion import (
    IndexPayload,
    IngestedDocument,
    IngestPayload,
    ReembedPayload,
)
from durable_agents.runtime.settings import Settings
from tests.clients.loopback import answer, loopback, stream
from tests.db.databases import migrated_database
from tests.db.pooling import Lane, new_pool, run_of
from tests.steering import Simulator
from tests.workflows.runs import token

MODEL = "simulator-embedding-1"
GUIDE = "# Ocarinas\n\nAn ocarina is wiped dry.\n\n## Tuning\n\nWarm air makes it sharp."


@pytest.fixture(scope="module")
async def base(database_url: str) -> AsyncIterator[Database]:
    async with migrated_database(database_url) as base:
        yield base


@pytest.fixture(scope="module")
async def tools(base: Database, settings: Settings) -> AsyncIterator[JobServices]:
    model = ModelClient(base_url=settings.openai_base_url, api_key="any")
    client = EmbeddingClient(base_url=settings.openai_base_url, api_key="any", model=MODEL)
    quotas = Quotas(base)
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield JobServices(
            database=base,
            http=http,
            model=model,
            asker=Asker(model, base, Prices(), quotas),
            embedder=Embedder(client, base, Prices(), quotas),
        )
    await model.close()
    await client.close()


async def claimed(tools: JobServices, kind: JobKind, payload: Any) -> JobContext:
    """What a job of a kind is given, held by a lane of a pool of its own."""
    pool = await new_pool(tools.database)
    async with tools.database.transaction() as connection:
        await jobs.enqueue(connection, pool, [kind.new(payload)])
    lane = await Lane(tools.database, pool).begin()
    return JobContext(tools, run_of(await lane.claim()), pool=pool)


async def given(database: Database, source: str, content: str | None) -> int:
    """The id of an upload."""
    raw = content.encode() if content is not None else None
    digest = digest_of(raw) if raw is not None else ""
    async with database.transaction() as connection:
        (upload_id,) = await uploads.add_uploads(
            connection, [NewUpload(source, source, raw, digest)]
        )
    return upload_id


async def ingest(tools: JobServices, source: str, content: str | None) -> IngestedDocument:
    payload = IngestPayload(upload_id=await given(tools.database, source, content))
    return await run(tools, INGEST_DOCUMENT, payload)


async def run(tools: JobServices, kind: JobKind, payload: Any) -> Any:
    return await kind.run(payload, await claimed(tools, kind, payload))


async def chunks_of(database: Database, document_id: str) -> list[Any]:
    async with database.statement() as connection:
        rows = await connection.execute(
            select(Chunk).where(Chunk.document_id == document_id).order_by(Chunk.position)
        )
        return list(rows.all())


async def uploads_of(database: Database, source: str) -> int | None:
    async with database.statement() as connection:
        return await connection.scalar(select(func.count()).where(Upload.source == source))


async def test_an_upload_becomes_a_document_with_embedded_passages(tools: JobServices) -> None:
    name = f"docs/{token()}.md"

    result = await ingest(tools, name, GUIDE)

    chunks = await chunks_of(tools.database, name)
    async with tools.database.statement() as connection:
        document = (
            await connection.execute(select(Document).where(Document.document_id == name))
        ).one()
        calls = select(LlmCall).order_by(LlmCall.llm_call_id.desc())
        call = (await connection.execute(calls)).first()
    assert result == IngestedDocument(document_id=name, title="Ocarinas", chunks=2)
    assert (document.title, document.source, document.media_type) == (
        *("Ocarinas", name),
        "text/markdown",
    )
    assert [(one.embedding_model, one.embedding_dimension) for one in chunks] == [(MODEL, 256)] * 2
    assert await uploads_of(tools.database, name) == 0
    assert call is not None
    assert (call.model, call.agent, call.outcome) == (MODEL, "embedding", "ok")


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


async def test_a_changed_document_replaces_its_passages(tools: JobServices) -> None:
    name = f"docs/{token()}.md"
    await ingest(tools, name, GUIDE)

    result = await ingest(tools, name, "# Ocarinas\n\nOnly this is left.")

    (chunk,) = await chunks_of(tools.database, name)
    assert result.chunks == 1
    assert chunk.content == "Ocarinas\n\nOnly this is left."


async def test_passages_that_did_not_change_keep_their_vectors_and_are_not_paid_for_again(
    tools: JobServices, simulator: Simulator
) -> None:
    name, one, two, three = f"docs/{token()}.md", token(), token(), token()
    await ingest(tools, name, f"# T\n\n{one}\n\n## A\n\n{two}")
    first = {row.content: row.embedding for row in await chunks_of(tools.database, name)}

    await ingest(tools, name, f"# T\n\n{three}\n\n## B\n\n{three}\n\n## A\n\n{two}")

    changed = {row.content: row for row in await chunks_of(tools.database, name)}
    kept = changed[f"T: A\n\n{two}"]
    assert len(changed) == 3
    assert kept.position == 2
    assert kept.embedding == first[kept.content]
    assert {row.embedding_model for row in changed.values()} == {MODEL}
    assert len(await simulator.calls(two, "embeddings")) == 1
    assert len(await simulator.calls(three, "embeddings")) == 1


async def test_vectors_of_another_model_or_length_are_not_kept(
    tools: JobServices, simulator: Simulator
) -> None:
    name, word = f"docs/{token()}.md", token()
    await ingest(tools, name, f"# T\n\n{word}")
    for changes in ("embedding_model = 'older'", "embedding_dimension = 3, embedding = '[1,2,3]'"):
        async with tools.database.statement() as connection:
            await connection.execute(
                text(f"UPDATE chunks SET {changes} WHERE document_id = :id"),  # noqa: S608
                {"id": name},
            )
        await ingest(tools, name, f"# T\n\n{word}\n\n## {token()}\n\nText.")

    rows = await chunks_of(tools.database, name)
    assert [(row.embedding_model, row.embedding_dimension) for row in rows] == [(MODEL, 256)] * 2
    assert len(await simulator.calls(word, "embeddings")) == 3


async def test_a_document_does_not_take_the_place_of_another_that_has_its_name_as_id(
    tools: JobServices,
) -> None:
    name = token()
    async with tools.database.transaction() as connection:
        await library.add_document(
            connection, document_id=name, title="T", source="elsewhere", content="Of the samples."
        )

    first = await ingest(tools, name, "Of mine.")
    again = await ingest(tools, name, "Of mine, changed.")

    (kept,) = await chunks_of(tools.database, name)
    assert kept.content == "T\n\nOf the samples."
    assert first.document_id == again.document_id != name


@pytest.mark.parametrize("how", ["deleted", "pruned"])
async def test_what_was_deleted_while_its_job_waited_does_not_come_back(
    tools: JobServices, how: str
) -> None:
    folder = token()
    name = f"{folder}/a.md"
    payload = IngestPayload(upload_id=await given(tools.database, name, GUIDE))

    async with tools.database.transaction() as connection:
        if how == "deleted":
            gone, _ = await library.delete_documents(connection, [name])
        else:
            gone = await library.prune(connection, folder, [])
    result = await run(tools, INGEST_DOCUMENT, payload)

    assert gone == [name]
    assert result.superseded
    assert await chunks_of(tools.database, name) == []


async def test_without_an_embedding_model_words_alone_are_stored(tools: JobServices) -> None:
    name = f"docs/{token()}.md"

    await ingest(replace(tools, embedder=None), name, GUIDE)

    assert [one.embedding for one in await chunks_of(tools.database, name)] == [None, None]


async def test_of_two_versions_the_later_one_stays_whoever_ends_last(
    tools: JobServices,
) -> None:
    name = f"docs/{token()}.md"
    early = IngestPayload(upload_id=await given(tools.database, name, "# One\n\nFirst."))
    context = await claimed(tools, INGEST_DOCUMENT, early)
    async with tools.database.statement() as connection:
        read = await uploads.read_upload(connection, early.upload_id)
    await ingest(tools, name, "# Two\n\nSecond.")

    assert read is not None
    result = await ingest_document._store(  # pyright: ignore[reportPrivateUsage] - has read already
        early, context, read, await ingest_document.read_document(name, b"# One\n\nFirst.")
    )

    (chunk,) = await chunks_of(tools.database, name)
    assert result.superseded
    assert chunk.content == "Two\n\nSecond."
    assert (await run(tools, INGEST_DOCUMENT, early)).superseded


async def test_a_worker_that_was_overtaken_writes_nothing(tools: JobServices) -> None:
    name = f"docs/{token()}.md"
    payload = IngestPayload(upload_id=await given(tools.database, name, GUIDE))
    context = await claimed(tools, INGEST_DOCUMENT, payload)
    async with tools.database.statement() as connection:
        await connection.execute(
            text("UPDATE jobs SET fence = fence + 1 WHERE job_id = :id"), {"id": context.job_id}
        )

    with pytest.raises(StaleJobError):
        await INGEST_DOCUMENT.run(payload, context)

    assert await chunks_of(tools.database, name) == []
    assert await uploads_of(tools.database, name) == 1


async def test_an_embedding_model_that_fails_leaves_the_document_as_it_was(
    tools: JobServices, simulator: Simulator
) -> None:
    name, word = f"docs/{token()}.md", token()
    await ingest(tools, name, GUIDE)

    fault = {"status": 500, "route": "embeddings", "times": -1}
    async with simulator.faults(word, fault):
        with pytest.raises(ModelUnavailableError):
            await ingest(tools, name, f"# New\n\n{word}")

    assert len(await chunks_of(tools.database, name)) == 2
    assert await uploads_of(tools.database, name) == 1


async def test_an_address_is_fetched_and_what_is_unchanged_is_not_read_again(
    tools: JobServices,
) -> None:
    page = answer("<title>Hours</title><p>Open daily.", kind="text/html; charset=utf-8")
    async with loopback(page=page) as server:
        allowed = replace(tools, fetch_allow=frozenset({server.pair}))

        first = await ingest(allowed, f"{server.url}/page", None)
        again = await ingest(allowed, f"{server.url}/page", None)

    assert (first.title, first.chunks, first.unchanged) == ("Hours", 1, False)
    assert again == IngestedDocument(unchanged=True)
    assert await uploads_of(tools.database, f"{server.url}/page") == 0


async def test_an_address_that_never_ends_is_given_up(
    tools: JobServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_document, "FETCH_DEADLINE", timedelta(seconds=0.5))
    async with loopback(page=stream([b"drip "], pause=0.05, times=10_000)) as server:
        allowed = replace(tools, fetch_allow=frozenset({server.pair}))

        with pytest.raises(ServiceUnavailableError, match="did not answer in time"):
            await ingest(allowed, f"{server.url}/page", None)


async def test_an_address_with_fifty_megabytes_is_refused(tools: JobServices) -> None:
    async with loopback(page=stream([b"x" * 1_000_000], times=50)) as server:
        allowed = replace(tools, fetch_allow=frozenset({server.pair}))

        with pytest.raises(ResponseTooLargeError, match="larger than the 20,000,000 bytes"):
            await ingest(allowed, f"{server.url}/page", None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("\x00\x01", "is a binary file"),
        ("%PDF-1.7 and no more", "is a broken PDF"),
        ("<!doctype html><p> </p>", "has no text in it"),
    ],
)
async def test_what_cannot_be_read_fails_for_good_with_its_reason(
    tools: JobServices, content: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        await ingest(tools, f"docs/{token()}", content)


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


async def test_documents_are_listed_pruned_and_deleted(tools: JobServices) -> None:
    folder = token()
    for part in ("a", "b", "c"):
        await ingest(tools, f"{folder}/{part}.md", f"# {part}\n\nText.")
    await ingest(tools, f"{folder}2/a.md", "# Of another folder\n\nText.")

    async with tools.database.transaction() as connection:
        listed = await library.list_documents(connection, MODEL)
        pruned = await library.prune(connection, folder, [f"{folder}/a.md"])
        deleted, unknown = await library.delete_documents(
            connection, [f"{folder}/a.md", "nobody", f"{folder}/a.md"]
        )
        left = [
            one.source
            for one in await library.list_documents(connection, MODEL)
            if folder in one.source
        ]

    assert [(one.source, one.chunks, one.embedded) for one in listed if folder in one.source] == [
        *((f"{folder}/{part}.md", 1, 1) for part in ("a", "b", "c")),
        (f"{folder}2/a.md", 1, 1),
    ]
    assert pruned == [f"{folder}/b.md", f"{folder}/c.md"]
    assert (deleted, unknown) == ([f"{folder}/a.md"], ["nobody"])
    assert left == [f"{folder}2/a.md"]
