"""What is left of quotas that many processes share: a bucket for each, in one row.

A bucket fills at the quota's rate up to its size (a token bucket). Whoever asks for a turn is
told how long to wait for it, and has it from then on: its level may fall below 0, and those who
come later wait the longer. Time is the database's: the clocks of the workers do not matter, and
a clock that is set back or on changes no more than one bucket's size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LONGEST_HOLD_S = 601
"""A provider's word is taken for ten minutes at most; what is further off, a clock has moved."""


@dataclass(frozen=True)
class Draw:
    """What a call takes from one bucket.

    Attributes:
        quota: The bucket's key.
        amount: How much is taken; 0 where only the provider's word counts.
        rate: How much flows in, a second.
        size: How much it holds.
    """

    quota: str
    amount: float
    rate: float
    size: float


@dataclass(frozen=True)
class Turn:
    """When a call may be made: in `wait_s` seconds, if its turn is `taken`.

    `held` says that the wait is a provider's word, and not that the quota is used up.
    """

    taken: bool
    wait_s: float
    held: bool


# The rows are locked in the order of their keys, so that no two callers wait for each other. The
# time is taken once they are locked. `UPDATE` then finds what `locked` has read.
_TAKE = text(
    f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:amounts AS float8[]),
                             CAST(:rates AS float8[]), CAST(:sizes AS float8[]))
                      AS draw (quota, amount, rate, size)
    ), locked AS MATERIALIZED (
        SELECT quota, level, updated_at, not_before FROM quotas
        WHERE quota = ANY(CAST(:keys AS text[])) ORDER BY quota FOR UPDATE
    ), clock AS MATERIALIZED (
        SELECT count(*) AS found, clock_timestamp() AS at FROM locked
    ), state AS MATERIALIZED (
        SELECT quota, amount, rate, size, at,
               least(size, level + rate * greatest(0, extract(epoch FROM at - updated_at)))
                   AS level,
               CASE WHEN not_before < at + interval '{LONGEST_HOLD_S} s'
                    THEN greatest(0, extract(epoch FROM not_before - at)) ELSE 0 END AS hold
        FROM asked JOIN locked USING (quota) CROSS JOIN clock
    ), turn AS MATERIALIZED (
        SELECT coalesce(max((least(amount, size) - level) / rate) FILTER (WHERE amount > 0), 0)
                   AS wait,
               coalesce(max(hold), 0) AS hold
        FROM state
    ), taken AS (
        UPDATE quotas SET level = state.level - state.amount, updated_at = state.at
        FROM state, turn, clock
        WHERE quotas.quota = state.quota AND clock.found = cardinality(CAST(:keys AS text[]))
              AND state.amount > 0 AND greatest(turn.wait, turn.hold) <= :patience
        RETURNING 1
    )
    SELECT found, greatest(wait, hold) <= :patience AS taken, CAST(wait AS float8) AS wait,
           CAST(hold AS float8) AS hold
    FROM turn, clock
    """  # noqa: S608 - a number of ours
)
_ADD = text(
    """
    INSERT INTO quotas (quota, level, updated_at)
    SELECT quota, size, clock_timestamp()
    FROM unnest(CAST(:keys AS text[]), CAST(:sizes AS float8[])) AS draw (quota, size)
    ORDER BY quota
    ON CONFLICT (quota) DO NOTHING
    """
)
_SETTLE = text(
    """
    UPDATE quotas
    SET level = least(CAST(:size AS float8), level + CAST(:back AS float8)),
        not_before = greatest(
            not_before, clock_timestamp() + make_interval(secs => CAST(:hold AS float8))
        )
    WHERE quota = :quota
    """
)
_HOLD = text(
    f"""
    SELECT CAST(coalesce(max(extract(epoch FROM not_before - clock_timestamp())), 0) AS float8)
    FROM quotas WHERE quota = ANY(CAST(:keys AS text[]))
                      AND not_before < clock_timestamp() + interval '{LONGEST_HOLD_S} s'
    """  # noqa: S608 - a number of ours
)
_HOLDS = text(
    f"""
    SELECT quota, CAST(extract(epoch FROM not_before - clock_timestamp()) AS float8) AS hold
    FROM quotas
    WHERE not_before > clock_timestamp()
          AND not_before < clock_timestamp() + interval '{LONGEST_HOLD_S} s'
    ORDER BY quota
    """  # noqa: S608 - a number of ours
)
_LEVELS = text(
    """
    SELECT quota, level, extract(epoch FROM clock_timestamp() - updated_at) AS age
    FROM quotas WHERE quota = ANY(CAST(:keys AS text[]))
    """
)


async def take_turn(connection: AsyncConnection, draws: Sequence[Draw], patience_s: float) -> Turn:
    """Take a call's turn from all of its buckets, if it comes within `patience_s` seconds.

    One statement, which takes from all buckets or from none; a bucket that is new costs two more.
    """
    values = {
        "keys": [draw.quota for draw in draws],
        "amounts": [float(draw.amount) for draw in draws],
        "rates": [float(draw.rate) for draw in draws],
        "sizes": [float(draw.size) for draw in draws],
        "patience": patience_s,
    }
    row = (await connection.execute(_TAKE, values)).one()
    if row.found < len(draws):
        await connection.execute(_ADD, {"keys": values["keys"], "sizes": values["sizes"]})
        row = (await connection.execute(_TAKE, values)).one()
    wait = max(float(row.wait), float(row.hold), 0.0)
    return Turn(taken=bool(row.taken), wait_s=wait, held=row.hold > 0 and row.hold >= row.wait)


async def settle(
    connection: AsyncConnection, draw: Draw, back: float, hold_s: float | None = None
) -> None:
    """Put back what a call has not used; a negative amount takes what it used beyond.

    Args:
        connection: Where.
        draw: What was taken.
        back: How much of it to put back.
        hold_s: For how many seconds nobody shall call, if the provider said so.
    """
    values = {"quota": draw.quota, "size": float(draw.size), "back": back, "hold": hold_s}
    await connection.execute(_SETTLE, values)


async def hold_of(connection: AsyncConnection, keys: Sequence[str]) -> float:
    """For how many seconds from now nobody may call, by a provider's word; 0 or less: now."""
    return float(await connection.scalar(_HOLD, {"keys": list(keys)}) or 0)


async def read_levels(connection: AsyncConnection, draws: Sequence[Draw]) -> dict[str, float]:
    """What is in buckets now; one that nobody has used yet is not there."""
    known = {draw.quota: draw for draw in draws}
    rows = await connection.execute(_LEVELS, {"keys": list(known)})
    return {
        row.quota: min(
            known[row.quota].size, row.level + known[row.quota].rate * max(0.0, float(row.age))
        )
        for row in rows
    }


async def read_holds(connection: AsyncConnection) -> dict[str, float]:
    """For how many seconds providers want nobody to call, by the bucket's key."""
    return {row.quota: float(row.hold) for row in await connection.execute(_HOLDS)}
