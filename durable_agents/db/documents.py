"""Documents, read by window and never whole, and what analyses note and find.

PostgreSQL finds a place in a long text by reading the text up to it, so a window holds several
sections: the cost of a document grows with its length times the number of windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Analysis, SectionNote
from durable_agents.db.tables import Document
from durable_agents.models.errors import InputError, NotFoundError

DIGEST_DIGITS = 12


@dataclass(frozen=True)
class DocumentHead:
    """The facts of a document, and its beginning."""

    document_id: str
    title: str
    chars: int
    digest: str
    beginning: str


@dataclass(frozen=True)
class Note:
    """What one branch noted of one section."""

    branch: str
    section: int
    note: dict[str, Any]


async def read_head(connection: AsyncConnection, document_id: str, sample: int) -> DocumentHead:
    """Read the facts of a document and its first characters.

    Raises:
        NotFoundError: There is none of this id.
    """
    row = (
        await connection.execute(
            select(
                Document.document_id,
                Document.title,
                func.char_length(Document.content),
                func.left(Document.content_hash, DIGEST_DIGITS),
                func.left(Document.content, sample),
            ).where(Document.document_id == document_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no document {document_id}. Check the id and start again.")
    return DocumentHead(*row)


async def read_window(
    connection: AsyncConnection, document_id: str, *, digest: str, start: int, chars: int
) -> str:
    """Read `chars` characters of a document from the offset `start`.

    Raises:
        InputError: The document has changed, or is gone.
    """
    window = await connection.scalar(
        select(func.substr(Document.content, start + 1, chars)).where(
            Document.document_id == document_id,
            func.left(Document.content_hash, DIGEST_DIGITS) == digest,
        )
    )
    if window is None:
        raise InputError(
            f"The document {document_id} was changed or deleted while it was read. "
            "Start the analysis again."
        )
    return str(window)


async def read_notes(
    connection: AsyncConnection, run_id: str, branch: str, *, first: int = 0, count: int = 0
) -> list[Note]:
    """The notes of a run's branch in the order of the sections; `count` 0 means all of them."""
    query = (
        select(SectionNote.branch, SectionNote.section, SectionNote.note)
        .where(
            SectionNote.run_id == run_id,
            SectionNote.branch == branch,
            SectionNote.section >= first,
        )
        .order_by(SectionNote.section)
    )
    if count:
        query = query.where(SectionNote.section < first + count)
    return [Note(*row) for row in await connection.execute(query)]


async def save_note(connection: AsyncConnection, run_id: str, note: Note) -> None:
    """Keep a note; a second delivery changes nothing."""
    statement = insert(SectionNote).values(run_id=run_id, **vars(note))
    await connection.execute(statement.on_conflict_do_nothing())


async def save_analysis(
    connection: AsyncConnection,
    *,
    run_id: str,
    document_id: str,
    result: dict[str, Any],
    missing: Sequence[str],
) -> None:
    """Keep what an analysis found, in place of what the run saved before."""
    values = {"result": result, "missing": ", ".join(missing)}
    statement = insert(Analysis).values(run_id=run_id, document_id=document_id, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[Analysis.run_id], set_=values)
    )


async def ids_after(connection: AsyncConnection, after: str, limit: int) -> list[str]:
    """Ids of documents in their order; the next page begins after the last one of this."""
    query = select(Document.document_id).where(Document.document_id > after)
    return list(await connection.scalars(query.order_by(Document.document_id).limit(limit)))
