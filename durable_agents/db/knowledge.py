"""The knowledge base: documents, and full-text search in their chunks."""

import hashlib
import json
import re
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, cast, delete, func, select
from sqlalchemy.dialects.postgresql import TSQUERY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.chunking import CHUNKING, excerpt, split
from durable_agents.db.tables import Chunk, Document
from durable_agents.models.errors import InputError

EXCERPT_CHARS = 500
MAX_QUERY_CHARS = 1000
LANGUAGE = "english"
BELOW_ONE = 32  # ts_rank: brings the rank r between 0 and 1, as r / (r + 1)
MARK_START, MARK_END = "\ue000", "\ue001"  # characters of private use, so not in documents
MARKS = re.compile(f"[{MARK_START}{MARK_END}]")
HEADLINE = f'HighlightAll=true, StartSel="{MARK_START}", StopSel="{MARK_END}"'


@dataclass(frozen=True)
class Hit:
    """A passage that search found.

    Attributes:
        document_id: The document that holds it.
        title: The title of the document.
        source: Where the document came from.
        excerpt: The part that fits best, about 500 characters at most.
        score: How well it fits, above 0 and below 1; comparable within one search only.
    """

    document_id: str
    title: str
    source: str
    excerpt: str
    score: float


async def search(connection: AsyncConnection, query: str, limit: int = 5) -> list[Hit]:
    """Find the passages that fit a query best, the best one first.

    Passages with all the words are taken alone when there are enough of them, else those with
    any; the more words a passage has, and the closer together, the better it fits.

    Args:
        connection: Where to look.
        query: Words, as a person would type them. A "phrase" or a `-word` weighs in the order.
        limit: How many passages at most.
    """
    words = query[:MAX_QUERY_CHARS]
    every = func.websearch_to_tsquery(LANGUAGE, words)
    plain = cast(func.plainto_tsquery(LANGUAGE, words), Text)
    some = cast(func.replace(plain, " & ", " | "), TSQUERY)
    hits = await _find(connection, every, every=every, some=some, limit=limit)
    if len(hits) >= limit:
        return hits
    return await _find(connection, some, every=every, some=some, limit=limit)


async def add_document(
    connection: AsyncConnection, *, document_id: str, title: str, source: str, content: str
) -> int:
    """Add a document or bring it up to date. For a transaction: its chunks go with it.

    Returns:
        How many chunks were written; 0 when the document was there unchanged.

    Raises:
        InputError: There is no text in it.
    """
    if not content.strip():
        raise InputError(f"The document {document_id} is empty: give it some text.")
    row = {"title": title, "source": source, "content": content}
    digest = hashlib.sha256(json.dumps([CHUNKING, row], sort_keys=True).encode()).hexdigest()
    statement = insert(Document).values(document_id=document_id, content_hash=digest, **row)
    changed = await connection.scalar(
        statement.on_conflict_do_update(
            index_elements=[Document.document_id],
            set_={**row, "content_hash": digest},
            where=Document.content_hash != digest,
        ).returning(Document.document_id)
    )
    if changed is None:
        return 0
    await connection.execute(delete(Chunk).where(Chunk.document_id == document_id))
    chunks = [
        {"document_id": document_id, "position": position, "content": text}
        for position, text in enumerate(split(title, content))
    ]
    await connection.execute(insert(Chunk), chunks)
    return len(chunks)


async def _find(
    connection: AsyncConnection,
    condition: ColumnElement[str],
    *,
    every: ColumnElement[str],
    some: ColumnElement[str],
    limit: int,
) -> list[Hit]:
    # ts_rank counts different words, ts_rank_cd how close together all of them stand.
    score = (
        func.ts_rank(Chunk.words, some, BELOW_ONE) + func.ts_rank_cd(Chunk.words, every, BELOW_ONE)
    ) / 2
    best = (
        select(Chunk.chunk_id, Chunk.document_id, Chunk.content, score.label("score"))
        .where(Chunk.words.op("@@")(condition))
        .order_by(score.desc(), Chunk.chunk_id)
        .limit(max(limit, 0))
        .subquery()
    )
    # The marks are set for the chosen passages only: that parses their text again.
    marked = func.ts_headline(LANGUAGE, best.c.content, some, HEADLINE).label("marked")
    rows = await connection.execute(
        select(best.c.document_id, Document.title, Document.source, best.c.score, marked)
        .join(Document, Document.document_id == best.c.document_id)
        .order_by(best.c.score.desc(), best.c.chunk_id)
    )
    return [
        Hit(
            document_id=row.document_id,
            title=row.title,
            source=row.source,
            excerpt=excerpt(row.marked, MARKS, EXCERPT_CHARS),
            score=row.score,
        )
        for row in rows
    ]
