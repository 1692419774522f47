"""The vectors of passages: which are nearest, and the indexes that find them.

Vectors of different models cannot be compared, so each chunk names its model and dimension, and
search looks at those of the current model alone. The column has no dimension of its own; an
index needs one, so there is an index for each model and dimension, over its rows only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import ColumnElement, cast, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.bounded_connection import without_bound
from durable_agents.db.engine import Database
from durable_agents.db.tables import Chunk

INDEX_FROM = 10_000
"""Chunks from which on an index pays: reading all vectors of so many takes about 10 ms."""

INDEX_LIMIT = 4_000
"""Dimensions that an index on halfvec can have (pgvector's limit); beyond, search is exact."""

SEARCH_WIDTH = 400
"""`hnsw.ef_search`, the candidates that are followed.

Of the ten nearest of 100,000 passages of manuals, search finds 70 % with 40, 89 % with 200, 94 %
with 400 and 97 % with 800, in about 4, 6, 11 and 23 ms (simulator's vectors, 2 shared cores).
"""

LEAST_SIMILARITY = 0.2
"""The cosine below which texts of the models that we know have nothing in common."""
INDEX_PREFIX = "chunks_near_"
LOCK = 0x0D08_AB1E_1DE7


@dataclass(frozen=True)
class EmbeddedTexts:
    """The vectors of some texts in their order, and the model that they are of.

    What is less similar to one of them than `least_similarity`, a cosine, is not near it.
    """

    model: str
    vectors: Sequence[Sequence[float]]
    least_similarity: float = LEAST_SIMILARITY

    def columns(self, place: int) -> dict[str, Any]:
        """The columns of the chunk at a place."""
        vector = self.vectors[place]
        return {
            "embedding": list(vector),
            "embedding_model": self.model,
            "embedding_dimension": len(vector),
        }


async def nearest(
    connection: AsyncConnection,
    model: str,
    vector: Sequence[float],
    limit: int,
    *,
    least_similarity: float = LEAST_SIMILARITY,
) -> list[int]:
    """The ids of the chunks that are nearest to a vector by the cosine, the nearest first."""
    width, is_local = str(max(SEARCH_WIDTH, limit)), literal(value=True)
    await connection.execute(select(func.set_config("hnsw.ef_search", width, is_local)))
    kind = HALFVEC(len(vector))
    distance: ColumnElement[float] = cast(Chunk.embedding, kind).cosine_distance(
        cast(literal(list(vector), kind), kind)
    )
    # Only an index's own text of its condition makes it usable: model and dimension stand in it.
    best = (
        select(Chunk.chunk_id, distance.label("distance"))
        .where(
            Chunk.embedding_model == literal(model, literal_execute=True),
            Chunk.embedding_dimension == literal(len(vector), literal_execute=True),
        )
        .order_by(distance)
        .limit(limit)
    )
    rows = await connection.execute(best)
    return [row.chunk_id for row in rows if 1 - row.distance >= least_similarity]


async def index_is_due(connection: AsyncConnection, model: str) -> bool:
    """Whether a model has enough vectors for an index, and none yet."""
    rows = await connection.execute(
        select(Chunk.embedding_dimension, func.count())
        .where(Chunk.embedding_model == model)
        .group_by(Chunk.embedding_dimension)
    )
    names = [
        index_name(model, dimension or 0) for dimension, count in rows if _pays(dimension, count)
    ]
    found = [await connection.scalar(select(func.to_regclass(name))) for name in names]
    return None in found


def _pays(dimension: int | None, count: int) -> bool:
    return count >= INDEX_FROM and 0 < (dimension or 0) <= INDEX_LIMIT


async def build_index(database: Database, model: str) -> bool:
    """Make the index of a model if it pays and is not there; drop those of models without chunks.

    Takes about a minute for 100,000 chunks on one core; search and writing go on meanwhile
    (`CREATE INDEX CONCURRENTLY`). Of several that are asked for at once, one is made.

    Returns:
        Whether an index was made.
    """
    async with database.statement() as connection:
        if not await connection.scalar(select(func.pg_try_advisory_lock(LOCK))):
            return False
        try:
            await connection.execute(text("SET statement_timeout = 0"))
            await without_bound(connection)
            return await _build(connection, model)
        finally:
            await connection.invalidate()  # gives the lock and the setting back


async def _build(connection: AsyncConnection, model: str) -> bool:
    found = await connection.execute(
        select(Chunk.embedding_model, Chunk.embedding_dimension, func.count())
        .where(Chunk.embedding_model.is_not(None))
        .group_by(Chunk.embedding_model, Chunk.embedding_dimension)
    )
    counts = {(str(name), int(dimension or 0)): count for name, dimension, count in found}
    await _drop_others(connection, {index_name(*key) for key in counts})
    due = [
        (name, dimension)
        for (name, dimension), count in counts.items()
        if name == model and _pays(dimension, count)
    ]
    made = [await _create(connection, *key) for key in due]
    return any(made)


async def _drop_others(connection: AsyncConnection, wanted: set[str]) -> None:
    """Drop indexes that nobody needs, and those that a crash left unfinished."""
    rows = await connection.execute(
        text(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = 'chunks'::regclass AND starts_with(c.relname, :prefix)"
        ),
        {"prefix": INDEX_PREFIX},
    )
    for name, valid in rows:
        if name not in wanted or not valid:
            await connection.execute(text(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"'))


async def _create(connection: AsyncConnection, model: str, dimension: int) -> bool:
    """Make an index; False when it is there."""
    name = index_name(model, dimension)
    if await connection.scalar(select(func.to_regclass(name))) is not None:
        return False
    quoted = await connection.scalar(select(func.quote_literal(model)))
    where = f"embedding_model = {quoted} AND embedding_dimension = {dimension}"
    statement = (
        f"CREATE INDEX CONCURRENTLY {name} ON chunks"
        f" USING hnsw ((embedding::halfvec({dimension})) halfvec_cosine_ops) WHERE {where}"
    )
    await connection.exec_driver_sql(statement.replace("%", "%%"))
    return True


def index_name(model: str, dimension: int) -> str:
    """The name of a model's index."""
    return f"{INDEX_PREFIX}{hashlib.sha256(model.encode()).hexdigest()[:12]}_{dimension}"
