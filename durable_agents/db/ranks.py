"""The order of a pool's jobs: start-time fair queueing between tenants.

Goyal, Vin and Cheng, "Start-time Fair Queueing" (SIGCOMM 1996). A job's rank is where its tenant
has got to in the pool's virtual time, plus 1 / weight. Virtual time is the smallest rank that is
queued. So a tenant that comes late begins where the others are served now, not behind all they
have queued, and one that was away has saved nothing up. The next job is the one with the smallest
rank of the first priority that has any: an index gives it, however long the queue is.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LOCK_SEED = 2  # keeps these locks apart from others that hash text

Share = tuple[int, str]
"""A priority and a tenant."""


class Ranks:
    """Gives ranks to the jobs of one pool, in one transaction."""

    def __init__(self, pool: str, floors: dict[int, float], reached: dict[Share, float]) -> None:
        self._pool = pool
        self._floors = floors
        self._reached = reached
        self._changed: set[Share] = set()

    @classmethod
    async def of(cls, connection: AsyncConnection, pool: str, shares: Iterable[Share]) -> "Ranks":
        """Read where these tenants have got to; others who rank jobs of the pool wait."""
        pairs = sorted(set(shares))
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:pool, :seed))"),
            {"pool": pool, "seed": LOCK_SEED},
        )
        priorities = sorted({priority for priority, _ in pairs})
        floors = await connection.execute(_FLOORS, {"pool": pool, "priorities": priorities})
        reached = await connection.execute(
            _REACHED,
            {"pool": pool, "priorities": [p for p, _ in pairs], "tenants": [t for _, t in pairs]},
        )
        return cls(pool, {row[0]: row[1] for row in floors}, {(p, t): r for p, t, r in reached})

    def next(self, share: Share, weight: float) -> float:
        """The rank of a tenant's next job."""
        rank = max(self._floors.get(share[0], 0.0), self._reached.get(share, 0.0)) + 1 / weight
        self._reached[share] = rank
        self._changed.add(share)
        return rank

    def again(self, share: Share, rank: float) -> float:
        """The rank of a job that was served before: its place, but not before virtual time."""
        return max(rank, self._floors.get(share[0], 0.0))

    async def save(self, connection: AsyncConnection) -> None:
        """Store where the tenants have got to."""
        changed: Sequence[Share] = sorted(self._changed)
        if changed:
            await connection.execute(
                _SAVE,
                {
                    "pool": self._pool,
                    "priorities": [priority for priority, _ in changed],
                    "tenants": [tenant for _, tenant in changed],
                    "reached": [self._reached[share] for share in changed],
                },
            )


async def forget_shares(connection: AsyncConnection) -> int:
    """Drop what says no more than virtual time does; tells how many rows."""
    return (await connection.execute(_FORGET)).rowcount


_FLOORS = text(
    """
    SELECT w.priority, COALESCE(
        (SELECT j.rank FROM jobs j
         WHERE j.pool = :pool AND j.status = 'queued' AND j.priority = w.priority
         ORDER BY j.rank LIMIT 1),
        (SELECT max(s.reached) FROM pool_shares s
         WHERE s.pool = :pool AND s.priority = w.priority), 0)
    FROM unnest(CAST(:priorities AS smallint[])) AS w (priority)
    """
)

_REACHED = text(
    """
    SELECT s.priority, s.tenant, s.reached FROM pool_shares s
    JOIN unnest(CAST(:priorities AS smallint[]), CAST(:tenants AS text[]))
        AS w (priority, tenant) USING (priority, tenant)
    WHERE s.pool = :pool
    """
)

_SAVE = text(
    """
    INSERT INTO pool_shares (pool, priority, tenant, reached)
    SELECT :pool, w.priority, w.tenant, w.reached
    FROM unnest(CAST(:priorities AS smallint[]), CAST(:tenants AS text[]),
                CAST(:reached AS double precision[])) AS w (priority, tenant, reached)
    ON CONFLICT (pool, priority, tenant) DO UPDATE SET reached = EXCLUDED.reached
    """
)

_FORGET = text(
    """
    DELETE FROM pool_shares s WHERE s.reached < COALESCE(
        (SELECT j.rank FROM jobs j
         WHERE j.pool = s.pool AND j.status = 'queued' AND j.priority = s.priority
         ORDER BY j.rank LIMIT 1),
        (SELECT max(o.reached) FROM pool_shares o
         WHERE o.pool = s.pool AND o.priority = s.priority))
    """
)
