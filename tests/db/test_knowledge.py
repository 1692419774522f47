import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from durable_agents.db import knowledge, library
from durable_agents.db.engine import Database
from durable_agents.db.knowledge import Hit
from durable_agents.db.tables import Chunk
from durable_agents.models.errors import InputError
from tests.db.databases import migrated_database

REFUNDS = """# Refunds

You can return a monitor within 30 days.

## How long a refund takes

Cards show the money three to seven working days later.
"""
WARRANTY = """# Warranty

Batteries that fail within two years are replaced. Returns are free.
"""


@pytest.fixture(scope="module")
async def base(database_url: str) -> AsyncIterator[Database]:
    """A knowledge base that no other test adds to."""
    async with migrated_database(database_url) as base:
        await add(base, "refunds", "Refunds", REFUNDS)
        await add(base, "warranty", "Warranty", WARRANTY)
        yield base


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """A knowledge base to add to; the shared one is searched by other tests."""
    async with migrated_database(database_url) as database:
        yield database


async def add(database: Database, document_id: str, title: str, content: str) -> int:
    async with database.transaction() as connection:
        return await library.add_document(
            connection, document_id=document_id, title=title, source="test", content=content
        )


async def search(database: Database, query: str, limit: int = 5) -> list[Hit]:
    async with database.statement() as connection:
        return await knowledge.search(connection, query, limit)


async def chunk_count(database: Database, document_id: str) -> int | None:
    async with database.statement() as connection:
        return await connection.scalar(select(func.count()).where(Chunk.document_id == document_id))


async def test_the_passage_that_answers_comes_first(base: Database) -> None:
    first, *_ = await search(base, "How long does a refund take?")

    assert first.document_id == "refunds"
    assert first.title == "Refunds"
    assert first.source == "test"
    assert first.excerpt == (
        "Refunds: How long a refund takes\n\n"
        "Cards show the money three to seven working days later."
    )
    assert 0 < first.score < 1


async def test_one_word_that_is_nowhere_does_not_hide_the_rest(base: Database) -> None:
    first, *_ = await search(base, "warranty for xylophones")

    assert first.document_id == "warranty"


async def test_passages_with_all_words_come_before_those_with_some(base: Database) -> None:
    hits = await search(base, "return monitor")

    assert [hit.document_id for hit in hits] == ["refunds", "warranty"]
    assert hits[0].score > hits[1].score


async def test_no_more_passages_come_than_were_asked_for(base: Database) -> None:
    assert len(await search(base, "return", limit=1)) == 1
    assert await search(base, "return", limit=0) == []


@pytest.mark.parametrize("query", ["", "   ", "the of and", "xylophone", "\x00", "& | ! <-> ( '"])
async def test_a_query_that_fits_nothing_finds_nothing(base: Database, query: str) -> None:
    assert await search(base, query) == []


@settings(max_examples=60, deadline=None)
@given(
    query=st.text(max_size=60) | st.text(alphabet="refund days\"'-&|!<>():*\\%\x00", max_size=40)
)
async def test_no_query_is_too_strange(base: Database, query: str) -> None:
    hits = await search(base, query)

    assert all(hit.document_id in {"refunds", "warranty"} for hit in hits)


async def test_a_query_may_be_very_long(base: Database) -> None:
    hits = await search(base, "refund " * 100_000)

    assert hits[0].document_id == "refunds"


async def test_a_document_that_has_not_changed_is_not_written_again(database: Database) -> None:
    first = await add(database, "unchanged", "Refunds", REFUNDS)
    second = await add(database, "unchanged", "Refunds", REFUNDS)

    assert (first, second) == (2, 0)
    assert await chunk_count(database, "unchanged") == 2


async def test_a_document_that_has_changed_is_cut_anew(database: Database) -> None:
    await add(database, "changed", "Refunds", REFUNDS)
    written = await add(database, "changed", "Refunds", "Only zygomorphic text.")

    (hit,) = await search(database, "zygomorphic")
    assert written == await chunk_count(database, "changed") == 1
    assert hit.excerpt == "Refunds\n\nOnly zygomorphic text."


async def test_a_document_that_has_a_new_title_is_cut_anew(database: Database) -> None:
    await add(database, "renamed", "Refunds", "Some text.")

    assert await add(database, "renamed", "Quixotry", "Some text.") == 1
    assert [hit.title for hit in await search(database, "quixotry")] == ["Quixotry"]


async def test_adding_a_document_twice_at_once_writes_it_once(database: Database) -> None:
    written = await asyncio.gather(
        *(add(database, "at-once", "Refunds", REFUNDS) for _ in range(4))
    )

    assert sorted(written) == [0, 0, 0, 2]
    assert await chunk_count(database, "at-once") == 2


async def test_an_empty_document_is_refused(database: Database) -> None:
    with pytest.raises(InputError, match="The document nothing is empty"):
        await add(database, "nothing", "Nothing", " \n ")


async def test_a_large_document_is_written_in_time(database: Database) -> None:
    paragraph = "Monitors measure the air of a room once a minute, day and night. " * 14

    written = await add(database, "large", "Large", f"{paragraph}\n\n" * 2000)

    assert written == await chunk_count(database, "large") == 2000
