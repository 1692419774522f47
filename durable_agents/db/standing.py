"""How things stand: what waits for people, in pools, and of refunds; for the metrics.

Asked every few seconds, so it reads the indexes of what is open and never what is finished, of
jobs, which may be millions, not even their rows; and it gives up after three seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from durable_agents.db.engine import Database

TIMEOUT_MS = 3000
MOST_POOLS = 50
OTHERS = "(others)"


@dataclass(frozen=True)
class Waiting:
    """How many wait, and for how long the oldest does, in seconds."""

    count: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True)
class PoolStanding:
    """The open jobs of a pool by status, how long the oldest is queued, and how many may run."""

    pool: str
    queued: int
    delayed: int
    running: int
    oldest_s: float
    parallel: int


@dataclass(frozen=True)
class Standing:
    """How things stand: requests by kind, pools, open refunds, notifications nobody knows of."""

    approvals: Mapping[str, Waiting]
    pools: tuple[PoolStanding, ...]
    refunds: Waiting
    notifications_uncertain: int


# What came after this transaction began is younger than its `now()`: no time is below 0, which no
# gauge takes. (GREATEST leaves out what is NULL.)
_TIMEOUT = text(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
_APPROVALS = text(
    """
    SELECT kind, count(*), GREATEST(EXTRACT(epoch FROM now() - min(created_at)), 0)
    FROM approval_requests WHERE status = 'pending' GROUP BY kind
    """
)


def pools_sql(*, most: int) -> str:
    """What asks for the pools, so many of them by name; each status by its own partial index.

    Ids grow with the time at which jobs came, and stand in the index: the oldest is the lowest.
    """
    return f"""
    WITH counted AS (
        SELECT pool, count(*) AS queued, 0 AS delayed, 0 AS running, min(job_id) AS oldest
        FROM jobs WHERE status = 'queued' GROUP BY pool
        UNION ALL
        SELECT pool, 0, count(*), 0, NULL FROM jobs WHERE status = 'delayed' GROUP BY pool
        UNION ALL
        SELECT pool, 0, 0, count(*), NULL FROM jobs WHERE status = 'running' GROUP BY pool
    ), standing AS (
        SELECT pools.pool, COALESCE(sum(queued), 0) AS queued, COALESCE(sum(delayed), 0) AS delayed,
               COALESCE(sum(running), 0) AS running,
               (SELECT enqueued_at FROM jobs WHERE job_id = min(oldest)) AS oldest,
               CASE WHEN is_paused THEN 0 ELSE max_parallelism END AS parallel
        FROM pools LEFT JOIN counted USING (pool) GROUP BY pools.pool
    ), ranked AS (
        SELECT *, row_number() OVER (ORDER BY queued + delayed + running DESC, pool) AS place
        FROM standing
    )
    SELECT CASE WHEN place <= {most} THEN pool ELSE '{OTHERS}' END,
           sum(queued), sum(delayed), sum(running),
           GREATEST(EXTRACT(epoch FROM now() - min(oldest)), 0), sum(parallel)
    FROM ranked GROUP BY 1
    """  # noqa: S608 - a number and a constant


_POOLS = text(pools_sql(most=MOST_POOLS))
_REFUNDS = text(
    """
    SELECT count(*), GREATEST(EXTRACT(epoch FROM now() - min(began_at)), 0)
    FROM refunds WHERE settled_at IS NULL
    """
)
_UNCERTAIN = text("SELECT count(*) FROM notifications WHERE status = 'uncertain'")


async def standing(database: Database) -> Standing:
    """Ask how things stand.

    Raises:
        DatabaseUnavailableError: The database does not answer, or not in time.
    """
    async with database.transaction() as connection:
        await connection.execute(_TIMEOUT)
        waiting = (await connection.execute(_APPROVALS)).all()
        pools = (await connection.execute(_POOLS)).all()
        refunds = (await connection.execute(_REFUNDS)).one()
        uncertain = await connection.scalar(_UNCERTAIN)
    return Standing(
        approvals={row[0]: Waiting(int(row[1]), float(row[2])) for row in waiting},
        pools=tuple(
            PoolStanding(row[0], int(row[1]), int(row[2]), int(row[3]), float(row[4]), int(row[5]))
            for row in pools
        ),
        refunds=Waiting(int(refunds[0]), float(refunds[1])),
        notifications_uncertain=int(uncertain or 0),
    )
