"""The half of search that looks for words.

Ranking reads the words of a passage, which costs about 20 µs each. A word that a third of all
passages have would make that seconds, so no more than `MOST_RANKED` are ranked at once, and the
words that are rare (by the statistics that PostgreSQL keeps of the column) decide which.
"""

import itertools
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Text, bindparam, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.tables import Chunk

MAX_QUERY_CHARS = 1000
LANGUAGE = "english"
BELOW_ONE = 32  # ts_rank: brings the rank r between 0 and 1, as r / (r + 1)
MOST_RANKED = 300
MOST_PAIRED = 8  # rare words of which pairs are looked for: 28 pairs
MOST_MATCHES = 10_000  # passages that the rare words together may be expected to have

# Words that the statistics do not list are rarer than those that they do.
_RARITY = text(
    """
    SELECT word, COALESCE(listed.share, 0) * GREATEST(passages.reltuples, 0) AS expected
    FROM unnest(tsvector_to_array(to_tsvector('english', :words))) AS word
    CROSS JOIN (SELECT reltuples FROM pg_class WHERE oid = 'chunks'::regclass) AS passages
    LEFT JOIN (
        SELECT unnest(most_common_elems::text::text[]) AS listed_word,
               unnest(most_common_elem_freqs) AS share
        FROM pg_stats
        WHERE schemaname = current_schema() AND tablename = 'chunks' AND attname = 'words'
    ) AS listed ON listed_word = word
    ORDER BY expected, length(word) DESC
    """
)


def readable(query: str) -> str:
    """What of a query is looked for."""
    text = query[:MAX_QUERY_CHARS].replace("\x00", " ")
    return text.encode("utf-8", "replace").decode()  # half characters cannot be sent


def any_word(words: str) -> ColumnElement[str]:
    """The condition that at least one of some words is there."""
    plain = cast(func.plainto_tsquery(LANGUAGE, words), Text)
    return cast(func.replace(plain, " & ", " | "), TSQUERY)


async def matching(connection: AsyncConnection, words: str, limit: int) -> list[int]:
    """The ids of the chunks that fit some words best, the best first.

    Those with all the words come first. Only when they are too few, those with any two of them
    follow, then those with any one; within each, the more words a passage has, and the closer
    together, the better it fits. For a transaction.
    """
    # A wrong guess of how many passages match must not make PostgreSQL read all of them.
    await _allow_reading_all(connection, "off")
    every = func.websearch_to_tsquery(LANGUAGE, words)
    found = dict.fromkeys(await _best(connection, every, words, limit))
    if len(found) < limit:
        rare = await _rare_words(connection, words)
        for condition in _weaker(rare):
            if len(found) < limit:
                found |= dict.fromkeys(await _best(connection, condition, words, limit))
    await _allow_reading_all(connection, "on")
    return [*found][: max(limit, 0)]


async def _allow_reading_all(connection: AsyncConnection, answer: str) -> None:
    is_local = literal(value=True)
    await connection.execute(select(func.set_config("enable_seqscan", answer, is_local)))


async def _rare_words(connection: AsyncConnection, words: str) -> list[str]:
    """Those of some words that few passages have; at least one, if there is a word at all."""
    rows = (await connection.execute(_RARITY, {"words": words})).all()
    chosen, expected = list[str](), 0.0
    for word, count in rows:
        expected += count
        if chosen and expected > MOST_MATCHES:
            break
        chosen.append(str(word))
    return chosen


def _weaker(words: Sequence[str]) -> list[ColumnElement[str]]:
    """The conditions that two of some words are there, and that one is. The words are stems."""
    quoted = ["'{}'".format(word.replace("\\", "\\\\").replace("'", "''")) for word in words]
    pairs = [f"({one} & {other})" for one, other in itertools.combinations(quoted[:MOST_PAIRED], 2)]
    either = [pairs] if len(words) > 2 else []
    return [cast(literal(" | ".join(some)), TSQUERY) for some in (*either, quoted) if some]


async def _best(
    connection: AsyncConnection, condition: ColumnElement[str], words: str, limit: int
) -> list[int]:
    some, every = any_word(words), func.websearch_to_tsquery(LANGUAGE, words)
    candidates = (
        select(Chunk.chunk_id, Chunk.words)
        .where(Chunk.words.op("@@")(condition))
        .limit(bindparam("most", MOST_RANKED, unique=True))
        .cte("candidates")
        .prefix_with("MATERIALIZED")
    )
    # ts_rank counts different words, ts_rank_cd how close together all of them stand.
    score = func.ts_rank(candidates.c.words, some, BELOW_ONE) + func.ts_rank_cd(
        candidates.c.words, every, BELOW_ONE
    )
    ranked = select(candidates.c.chunk_id).order_by(score.desc(), candidates.c.chunk_id)
    return list(await connection.scalars(ranked.limit(max(limit, 0))))
