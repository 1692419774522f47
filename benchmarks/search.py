"""Search among many passages: how long it takes, by words, by meaning, and both.

    python -m benchmarks.search [--chunks 100000] [--queries 200]

The passages are synthetic: words of a made-up vocabulary by Zipf's law, about a thousand
characters each, with a subject that some words of a passage are about. Their vectors are those
of the simulator's embedding model (256 dimensions). A query has two to six words of a subject,
common ones among them. The call that embeds the query is measured apart.
"""

import argparse
import asyncio
import itertools
import random
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

from sqlalchemy import insert, text

from benchmarks.bench import bench
from durable_agents.clients.embeddings import EmbeddingClient
from durable_agents.db import knowledge
from durable_agents.db.engine import Database
from durable_agents.db.full_text import matching
from durable_agents.db.tables import Chunk, Document
from durable_agents.db.vectors import EmbeddedTexts, build_index, nearest
from durable_agents.simulator import EMBEDDING_MODEL_NAME
from durable_agents.simulator.embeddings import vector_of

CHUNKS_A_DOCUMENT = 20
WORDS_A_CHUNK = 150
SUBJECTS = 500
VOCABULARY = 20_000
AT_ONCE = 500
SYLLABLES = re.findall(
    "[b-df-hj-np-tv-z]+[aeiouy]", "badekilomunaperisotuvawexiyozachathephidrogra"
)


def vocabulary() -> list[str]:
    """Made-up words, the shorter ones first: they are the common ones."""
    made = (
        "".join(parts) for size in (2, 3, 4) for parts in itertools.product(SYLLABLES, repeat=size)
    )
    return list(itertools.islice(made, VOCABULARY))


WORDS = vocabulary()
COMMONNESS = list(itertools.accumulate(1 / (rank + 5) for rank in range(VOCABULARY)))


def subject_words(subject: int) -> list[str]:
    """The words that belong to a subject."""
    return random.Random(subject).sample(WORDS, 30)


def passage(number: int) -> str:
    """A passage: a third of its words belong to its subject."""
    chance = random.Random(f"passage {number}")
    own = subject_words(number % SUBJECTS)
    usual = chance.choices(WORDS, cum_weights=COMMONNESS, k=WORDS_A_CHUNK * 2 // 3)
    words = usual + chance.choices(own, k=WORDS_A_CHUNK // 3)
    chance.shuffle(words)
    return f"{own[0]} {own[1]}\n\n{' '.join(words)}."


def query(number: int) -> str:
    """A few words of a subject, and one or two that are common everywhere."""
    chance = random.Random(f"query {number}")
    own = chance.sample(subject_words(chance.randrange(SUBJECTS)), chance.randint(1, 4))
    return " ".join(own + chance.choices(WORDS, cum_weights=COMMONNESS, k=chance.randint(1, 2)))


def embedded(numbers: range) -> list[tuple[str, list[float]]]:
    """Passages with their vectors."""
    return [(made, vector_of(made)) for made in map(passage, numbers)]


async def main(chunks: int, queries: int) -> None:
    """Measure and print."""
    async with bench() as parts:
        database = Database(parts.settings.database_url.get_secret_value())
        client = EmbeddingClient(
            base_url=parts.settings.openai_base_url, api_key="any", model=EMBEDDING_MODEL_NAME
        )
        began = time.perf_counter()
        await _fill(database, chunks)
        filled = time.perf_counter()
        print(f"{chunks:,} passages written in {filled - began:.0f} s")
        asked = [query(number) for number in range(queries)]
        vectors = list((await _embed(client, asked)).values())
        exact = await _nearest_of_all(database, vectors[:20])
        began = time.perf_counter()
        await build_index(database, EMBEDDING_MODEL_NAME)
        print(f"the index of vectors made in {time.perf_counter() - began:.0f} s")
        await _measure(database, asked, vectors)
        found = await _nearest_of_all(database, vectors[:20])
        for most in (10, 40):
            pairs = [(set(a[:most]), set(b[:most])) for a, b in zip(exact, found, strict=True)]
            shared = [len(a & b) / max(len(a), 1) for a, b in pairs]
            print(f"of the {most} nearest the index finds {100 * statistics.mean(shared):.0f} %")
        await client.close()
        await database.close()


async def _fill(database: Database, chunks: int) -> None:
    spans = [range(at, min(at + AT_ONCE, chunks)) for at in range(0, chunks, AT_ONCE)]
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(max_workers=2) as made:
        ready = [loop.run_in_executor(made, embedded, span) for span in spans]
        for span, rows in zip(spans, ready, strict=True):
            await _insert(database, span, await rows)
    async with database.statement() as connection:
        await connection.execute(text("SET statement_timeout = 0"))
        await connection.execute(text("VACUUM ANALYZE chunks"))
        await connection.invalidate()


async def _insert(database: Database, span: range, rows: Sequence[tuple[str, list[float]]]) -> None:
    texts = EmbeddedTexts(EMBEDDING_MODEL_NAME, [vector for _, vector in rows])
    ids = sorted({number // CHUNKS_A_DOCUMENT for number in span})
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(
            insert(Document),
            [
                {
                    "document_id": f"d{one}",
                    "title": f"D {one}",
                    "source": f"d/{one}",
                    "content": "-",
                    "content_hash": "",
                }
                for one in ids
            ],
        )
        await connection.execute(
            insert(Chunk),
            [
                {
                    "document_id": f"d{number // CHUNKS_A_DOCUMENT}",
                    "position": number % CHUNKS_A_DOCUMENT,
                    "content": made,
                    **texts.columns(place),
                }
                for place, (number, (made, _)) in enumerate(zip(span, rows, strict=True))
            ],
        )


async def _embed(client: EmbeddingClient, asked: Sequence[str]) -> dict[str, EmbeddedTexts]:
    """The vectors of the queries, each by a call of its own."""
    vectors, took = dict[str, EmbeddedTexts](), list[float]()
    for one in asked:
        began = time.perf_counter()
        answer = await client.embed([one])
        took.append(time.perf_counter() - began)
        vectors[one] = EmbeddedTexts(EMBEDDING_MODEL_NAME, answer.vectors)
    _tell("the call that embeds a query", took)
    return vectors


async def _nearest_of_all(database: Database, vectors: Sequence[EmbeddedTexts]) -> list[list[int]]:
    async with database.transaction() as connection:
        return [await nearest(connection, one.model, one.vectors[0], 40) for one in vectors]


async def _measure(
    database: Database, asked: Sequence[str], vectors: Sequence[EmbeddedTexts]
) -> None:
    async def by_words(place: int) -> None:
        async with database.transaction() as connection:
            await matching(connection, asked[place], knowledge.CANDIDATES)

    async def by_meaning(place: int) -> None:
        async with database.transaction() as connection:
            await nearest(connection, vectors[place].model, vectors[place].vectors[0], 40)

    async def by_both(place: int) -> None:
        async with database.transaction() as connection:
            hits = await knowledge.search(connection, asked[place], 5, meaning=vectors[place])
        assert hits

    for name, look in (("words", by_words), ("meaning", by_meaning), ("both", by_both)):
        _tell(f"search by {name}", await _times(look, len(asked)))


async def _times(look: Callable[[int], Awaitable[None]], count: int) -> list[float]:
    await look(0)  # what every connection pays once
    took = list[float]()
    for place in range(count):
        began = time.perf_counter()
        await look(place)
        took.append(time.perf_counter() - began)
    return took


def _tell(what: str, took: Sequence[float]) -> None:
    ordered = sorted(1000 * one for one in took)
    print(
        f"{what}: median {statistics.median(ordered):.1f} ms, "
        f"95 % {ordered[int(0.95 * (len(ordered) - 1))]:.1f} ms, slowest {ordered[-1]:.1f} ms"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(main(given.chunks, given.queries))
