"""Search in the knowledge base: by words and by meaning, put together.

The two rankings are joined by reciprocal rank fusion (Cormack, Clarke and Büttcher 2009,
"Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"): a passage
scores 1 / (60 + rank) in each, so that the scores themselves, which cannot be compared, play no
part.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.chunking import excerpt
from durable_agents.db.full_text import (
    LANGUAGE,
    any_word,
    matching,
    readable,
)
from durable_agents.db.tables import Chunk, Document
from durable_agents.db.vectors import EmbeddedTexts, nearest

EXCERPT_CHARS = 500
CANDIDATES = 40  # of each ranking
FUSION = 60  # the constant of the paper
MARK_START, MARK_END = "\ue000", "\ue001"  # characters of private use, so not in documents
MARKS = re.compile(f"[{MARK_START}{MARK_END}]")
HEADLINE = f'HighlightAll=true, StartSel="{MARK_START}", StopSel="{MARK_END}"'

FoundBy = Literal["words", "meaning", "both"]


@dataclass(frozen=True)
class Hit:
    """A passage that search found.

    Attributes:
        document_id: The document that holds it.
        title: The title of the document.
        source: Where the document came from.
        excerpt: The part that fits best, about 500 characters at most.
        score: How well it fits, above 0 and below 1; comparable within one search only.
        found_by: Whether its words were found, its meaning, or both.
    """

    document_id: str
    title: str
    source: str
    excerpt: str
    score: float
    found_by: FoundBy = "words"


async def search(
    connection: AsyncConnection,
    query: str,
    limit: int = 5,
    *,
    meaning: EmbeddedTexts | None = None,
) -> list[Hit]:
    """Find the passages that fit a query best, the best one first. For a transaction.

    Args:
        connection: Where to look.
        query: Words, as a person would type them. A "phrase" or a `-word` weighs in the order.
        limit: How many passages at most.
        meaning: The query's vector; without it words alone are looked for.
    """
    words, limit = readable(query), max(limit, 0)
    most = max(limit, CANDIDATES)
    near = await _near(connection, meaning, most) if meaning else []
    named = await matching(connection, words, most if meaning else limit)
    scores = fused(named, near)
    best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:limit]
    found: dict[int, FoundBy] = {chunk: _found_by(chunk in named, chunk in near) for chunk in best}
    return await _read(connection, words, {chunk: scores[chunk] for chunk in best}, found)


async def _near(connection: AsyncConnection, meaning: EmbeddedTexts, most: int) -> list[int]:
    least = meaning.least_similarity
    vector = meaning.vectors[0]
    return await nearest(connection, meaning.model, vector, most, least_similarity=least)


def fused(*rankings: Sequence[int]) -> dict[int, float]:
    """The score of everything that is in at least one ranking, each of which is best first."""
    scores = dict[int, float]()
    for ranking in rankings:
        for rank, one in enumerate(ranking, 1):
            scores[one] = scores.get(one, 0) + 1 / (FUSION + rank)
    return scores


def _found_by(by_words: bool, by_meaning: bool) -> FoundBy:
    if by_words and by_meaning:
        return "both"
    return "words" if by_words else "meaning"


async def _read(
    connection: AsyncConnection,
    words: str,
    scores: dict[int, float],
    found: dict[int, FoundBy],
) -> list[Hit]:
    """The passages of some chunks, with the excerpt that fits the words best."""
    if not scores:
        return []
    # The marks are set for the chosen passages only: that parses their text again.
    marked = func.ts_headline(LANGUAGE, Chunk.content, any_word(words), HEADLINE).label("marked")
    rows = await connection.execute(
        select(Chunk.chunk_id, Chunk.document_id, Document.title, Document.source, marked)
        .join(Document, Document.document_id == Chunk.document_id)
        .where(Chunk.chunk_id.in_(scores))
    )
    by_id = {row.chunk_id: row for row in rows}
    return [
        Hit(
            document_id=row.document_id,
            title=row.title,
            source=row.source,
            excerpt=excerpt(row.marked, MARKS, EXCERPT_CHARS),
            score=score,
            found_by=found[chunk],
        )
        for chunk, score in scores.items()
        if (row := by_id.get(chunk)) is not None
    ]
