"""Which passages have no vector of the current embedding model, and giving them one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, distinct, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.library import ROWS_AT_ONCE
from durable_agents.db.tables import Chunk
from durable_agents.db.vectors import EmbeddedTexts


@dataclass(frozen=True)
class Passage:
    """A chunk that is to be embedded."""

    chunk_id: int
    content: str


async def documents_without(connection: AsyncConnection, model: str) -> list[str]:
    """The ids of documents with passages that have no vector of a model."""
    rows = await connection.scalars(
        select(distinct(Chunk.document_id))
        .where(Chunk.embedding_model.is_distinct_from(model))
        .order_by(Chunk.document_id)
    )
    return list(rows)


async def passages_without(
    connection: AsyncConnection, document_id: str, model: str
) -> list[Passage]:
    """The passages of a document that have no vector of a model."""
    rows = await connection.execute(
        select(Chunk.chunk_id, Chunk.content)
        .where(Chunk.document_id == document_id, Chunk.embedding_model.is_distinct_from(model))
        .order_by(Chunk.position)
    )
    return [Passage(*row) for row in rows]


async def set_vectors(
    connection: AsyncConnection, passages: Sequence[Passage], embedded: EmbeddedTexts
) -> None:
    """Give passages their vectors. One that was replaced meanwhile is gone, and is left alone."""
    changed = update(Chunk.__table__).where(Chunk.chunk_id == bindparam("id"))  # pyright: ignore[reportArgumentType] - a table by its declared type
    for start in range(0, len(passages), ROWS_AT_ONCE):
        some = passages[start : start + ROWS_AT_ONCE]
        rows = [
            {"id": passage.chunk_id, **embedded.columns(place)}
            for place, passage in enumerate(some, start)
        ]
        await connection.execute(changed, rows)
