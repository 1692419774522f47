"""Which passages have no vector of the current embedding model, and giving them one.

A model whose server was told to give shorter vectors keeps its name, so the dimension counts too.
"""

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.library import ROWS_AT_ONCE
from durable_agents.db.tables import Chunk
from durable_agents.db.vectors import EmbeddedTexts


@dataclass(frozen=True)
class Passage:
    """A chunk that is to be embedded."""

    chunk_id: int
    content: str


def _lacks(model: str, dimension: int) -> ColumnElement[bool]:
    """Whether a passage has no vector of a model, or one of another dimension; 0 is any."""
    lacks = Chunk.embedding_model.is_distinct_from(model)
    return or_(lacks, Chunk.embedding_dimension != dimension) if dimension else lacks


async def documents_without(connection: AsyncConnection, model: str, dimension: int) -> list[str]:
    """The ids of documents with passages that have no vector of a model and a dimension."""
    rows = await connection.scalars(
        select(Chunk.document_id)
        .distinct()
        .where(_lacks(model, dimension))
        .order_by(Chunk.document_id)
    )
    return list(rows)


async def count_without(connection: AsyncConnection, model: str, dimension: int) -> int:
    """How many passages have no vector of a model and a dimension."""
    counted = select(func.count()).select_from(Chunk).where(_lacks(model, dimension))
    return await connection.scalar(counted) or 0


async def passages_without(
    connection: AsyncConnection, document_id: str, model: str, dimension: int
) -> list[Passage]:
    """The passages of a document that have no vector of a model and a dimension."""
    rows = await connection.execute(
        select(Chunk.chunk_id, Chunk.content)
        .where(Chunk.document_id == document_id, _lacks(model, dimension))
        .order_by(Chunk.position)
    )
    return [Passage(*row) for row in rows]


async def vectors_of(
    connection: AsyncConnection, document_id: str, model: str, texts: Collection[str]
) -> dict[str, Sequence[float]]:
    """The vectors of a model that those of a document's passages have whose text is among some."""
    wanted, found = set(texts), dict[str, Sequence[float]]()
    kept = (
        select(Chunk.position, Chunk.content)
        .where(Chunk.document_id == document_id, Chunk.embedding_model == model)
        .order_by(Chunk.position)
    )
    places = [place for place, text in await connection.execute(kept) if text in wanted]
    for start in range(0, len(places), ROWS_AT_ONCE):
        some = select(Chunk.content, Chunk.embedding).where(
            Chunk.document_id == document_id,
            Chunk.embedding_model == model,
            Chunk.position.in_(places[start : start + ROWS_AT_ONCE]),
        )
        rows = await connection.execute(some)
        found |= {text: array("f", vector) for text, vector in rows if vector is not None}
    return found


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
