"""The documents of the knowledge base: adding, changing, listing and deleting them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import uploads
from durable_agents.db.chunking import CHUNKING, split
from durable_agents.db.pool_tables import Upload
from durable_agents.db.tables import Chunk, Document
from durable_agents.db.vectors import EmbeddedTexts
from durable_agents.models.errors import InputError

READING = 1  # part of an upload's digest: raise it when what was read must be read anew
ROWS_AT_ONCE = 200  # chunks that are written at once, with vectors of some 40 KB each as text


@dataclass(frozen=True)
class NewDocument:
    """A document that was read: its text, and where it came from.

    `upload_digest` stands for the bytes that it was read from; empty where there were none.
    """

    document_id: str
    title: str
    source: str
    content: str
    media_type: str = ""
    upload_digest: str = ""

    def chunks(self) -> list[str]:
        """The passages that search finds."""
        return split(self.title, self.content)

    @property
    def content_hash(self) -> str:
        """Stands for its text and how that is cut."""
        row = {"title": self.title, "source": self.source, "content": self.content}
        return hashlib.sha256(json.dumps([CHUNKING, row], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ListedDocument:
    """A document in a list, and how many of its passages the current embedding model has seen."""

    document_id: str
    title: str
    source: str
    chunks: int
    embedded: int


def digest_of(content: bytes) -> str:
    """What stands for the bytes of an upload, and for how they are read and cut."""
    return hashlib.sha256(b"%d/%d\n" % (READING, CHUNKING) + content).hexdigest()


async def add_document(
    connection: AsyncConnection, *, document_id: str, title: str, source: str, content: str
) -> int:
    """Add a document or bring it up to date, without embeddings. For a transaction.

    Returns:
        How many chunks were written; 0 when the document was there unchanged.

    Raises:
        InputError: There is no text in it.
    """
    document = NewDocument(document_id, title, source, content)
    if await _write(connection, document, only_changed=True):
        return await _write_chunks(connection, document_id, document.chunks(), None)
    return 0


async def store_document(
    connection: AsyncConnection,
    document: NewDocument,
    chunks: Sequence[str],
    embedded: EmbeddedTexts | None,
) -> None:
    """Put a document and its chunks in the place of what was there. For a transaction.

    Raises:
        InputError: There is no text in it.
    """
    await _write(connection, document, only_changed=False)
    await _write_chunks(connection, document.document_id, chunks, embedded)


async def id_of_source(connection: AsyncConnection, source: str) -> str:
    """The id of the document that came from there; a new one's is its source.

    Unless a document from elsewhere has that id, as the samples have ids of one word.
    """
    known = await connection.scalar(
        select(Document.document_id)
        .where(Document.source == source)
        .order_by(Document.created_at)
        .limit(1)
    )
    if known is not None:
        return str(known)
    taken = await connection.scalar(select(exists().where(Document.document_id == source)))
    return f"{source} ({hashlib.sha256(source.encode()).hexdigest()[:8]})" if taken else source


async def unchanged(connection: AsyncConnection, digests: dict[str, str]) -> set[str]:
    """Those of some sources whose documents were read from bytes of the same digest."""
    rows = await connection.execute(
        select(Document.source, Document.upload_digest).where(Document.source.in_(digests))
    )
    return {source for source, digest in rows if digest and digests[source] == digest}


async def list_documents(connection: AsyncConnection, model: str) -> list[ListedDocument]:
    """All documents by their source; `model` is the current embedding model, if there is one."""
    seen = func.count().filter(Chunk.embedding_model == model)
    rows = await connection.execute(
        select(
            Document.document_id,
            Document.title,
            Document.source,
            func.count(Chunk.chunk_id),
            seen,
        )
        .outerjoin(Chunk, Chunk.document_id == Document.document_id)
        .group_by(Document.document_id)
        .order_by(Document.source)
    )
    return [ListedDocument(*row) for row in rows]


async def delete_documents(
    connection: AsyncConnection, names: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Delete documents by their ids or sources, and what is still to be ingested of them.

    Returns:
        The sources of those that were deleted, and the names that no document has.
    """
    deleted, unknown = list[str](), list[str]()
    for name in dict.fromkeys(names):
        condition = or_(Document.document_id == name, Document.source == name)
        gone = await _delete(connection, condition, Upload.source == name)
        deleted += gone
        if not gone and name not in deleted:
            unknown.append(name)
    return deleted, unknown


async def count_under(connection: AsyncConnection, folder: str) -> int:
    """How many documents there are under a folder's name."""
    under = Document.source.startswith(f"{folder}/", autoescape=True)
    return await connection.scalar(select(func.count()).where(under)) or 0


async def prune(connection: AsyncConnection, folder: str, sources: Iterable[str]) -> list[str]:
    """Delete the documents under a folder's name that are not among some sources; gives theirs.

    What is still to be ingested of them is deleted as well.
    """
    found = set[str]()
    for source in (Document.source, Upload.source):
        under = source.startswith(f"{folder}/", autoescape=True)
        found |= set(await connection.scalars(select(source).where(under)))
    gone = found - set(sources)
    if not gone:
        return []
    return await _delete(connection, Document.source.in_(gone), Upload.source.in_(gone))


async def _delete(
    connection: AsyncConnection, documents: ColumnElement[bool], waiting: ColumnElement[bool]
) -> list[str]:
    """Delete documents and uploads; the uploads first, as the jobs that make documents of them."""
    withdrawn = await uploads.withdraw(connection, waiting)
    rows = await connection.scalars(delete(Document).where(documents).returning(Document.source))
    return sorted({*withdrawn, *rows})


async def _write(connection: AsyncConnection, document: NewDocument, *, only_changed: bool) -> bool:
    """Write the row of a document; False when it was there unchanged and that is enough."""
    if not document.content.strip():
        raise InputError(f"The document {document.document_id} is empty: give it some text.")
    row = {**vars(document), "content_hash": document.content_hash}
    statement = insert(Document).values(**row)
    same = Document.content_hash != document.content_hash if only_changed else None
    written = await connection.scalar(
        statement.on_conflict_do_update(
            index_elements=[Document.document_id],
            set_={**row, "updated_at": func.now()},
            where=same,
        ).returning(Document.document_id)
    )
    return written is not None


async def _write_chunks(
    connection: AsyncConnection,
    document_id: str,
    chunks: Sequence[str],
    embedded: EmbeddedTexts | None,
) -> int:
    """Put chunks in the place of those of a document."""
    await connection.execute(delete(Chunk).where(Chunk.document_id == document_id))
    for start in range(0, len(chunks), ROWS_AT_ONCE):
        rows = [
            {
                "document_id": document_id,
                "position": position,
                "content": text,
                **(embedded.columns(position) if embedded else {}),
            }
            for position, text in enumerate(chunks[start : start + ROWS_AT_ONCE], start)
        ]
        await connection.execute(insert(Chunk), rows)
    return len(chunks)
