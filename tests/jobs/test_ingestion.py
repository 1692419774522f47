"""The jobs that fill the knowledge base, on a real database, with the simulator's embeddings."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from durable_agents.db import library, uploads
from durable_agents.db.tables import Document, LlmCall
from durable_agents.jobs.kind import JobServices
from durable_agents.jobs.kinds import ingest_document
from durable_agents.jobs.kinds.ingest_document import INGEST_DOCUMENT
from durable_agents.models.errors import (
    InputError,
    ModelUnavailableError,
    ResponseTooLargeError,
    ServiceUnavailableError,
    StaleJobError,
)
from durable_agents.models.ingestion import IngestedDocument, IngestPayload
from tests.clients.loopback import answer, loopback, stream
from tests.jobs.ingesting import GUIDE, MODEL, chunks_of, claimed, given, ingest, run, uploads_of
from tests.steering import Simulator
from tests.workflows.runs import token


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
