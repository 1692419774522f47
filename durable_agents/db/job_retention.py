"""Puts finished jobs of the work pools away, when their pools have kept them long enough.

The jobs of a batch are kept together: until it is sealed, all of them are finished and told of,
and the last one was kept as long as its pool keeps jobs. Whoever waits for the batch counts them.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

OPEN_S = 7 * 86_400
"""A batch that nobody has sealed for so long was given up by whoever filled it."""


async def purge(connection: AsyncConnection, *, most: int = 5000) -> int:
    """Delete jobs that finished longer ago than their pool keeps them; tells how many."""
    values = {"most": most, "open_s": OPEN_S}
    deleted = (await connection.execute(_PURGE, values)).rowcount
    await connection.execute(_PURGE_BATCHES, {"open_s": OPEN_S})
    return deleted


_PURGE = text(
    """
    WITH kept AS MATERIALIZED (
        SELECT b.batch FROM job_batches b JOIN pools p USING (pool)
        WHERE b.tell_at IS NOT NULL
           OR NOT b.sealed
              AND b.created_at > now() - make_interval(secs => greatest(p.retention_s, :open_s))
           OR EXISTS (SELECT FROM jobs o WHERE o.batch = b.batch
                      AND o.status IN ('queued', 'delayed', 'running'))
           OR EXISTS (SELECT FROM jobs o WHERE o.batch = b.batch
                      AND o.finished_at >= now() - make_interval(secs => p.retention_s))
    )
    DELETE FROM jobs WHERE job_id IN (
        SELECT j.job_id FROM jobs j JOIN pools p USING (pool)
        WHERE j.finished_at < now() - make_interval(secs => p.retention_s) AND j.tell_at IS NULL
          AND NOT EXISTS (SELECT FROM kept k WHERE k.batch = j.batch)
        ORDER BY j.finished_at LIMIT :most)
    """
)

_PURGE_BATCHES = text(
    """
    DELETE FROM job_batches b USING pools p
    WHERE p.pool = b.pool AND b.tell_at IS NULL
      AND b.created_at < now() - make_interval(secs => CASE
          WHEN b.sealed THEN p.retention_s ELSE greatest(p.retention_s, :open_s) END)
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.batch = b.batch)
    """
)
