"""Batches that a process fills portion by portion, and what is left of one that was killed at it.

Whoever fills a batch holds a lock that ends with its connection. The batch's fingerprint says
what it is filled with, until it is handed on; so who is asked for the same again finds what a
process that was killed has left, and takes those jobs over into a batch of its own.
"""

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.engine import Database
from durable_agents.db.pool_tables import JobBatch

LOCK_SEED = 4  # keeps these locks apart from others that hash text
MOVED_AT_ONCE = 2000
TAKEN_UP_FOR_S = 86_400
"""What was left longer ago is not taken up: by now its documents may say something else."""


async def hold(connection: AsyncConnection, batch: str) -> None:
    """Say that this process fills a batch, for as long as the connection is open."""
    await connection.execute(_HOLD, {"batch": batch, "seed": LOCK_SEED})


async def hand_on(connection: AsyncConnection, batch: str) -> None:
    """Say that a batch was filled, or given up: nobody takes it up any more."""
    await connection.execute(_HAND_ON, {"batch": batch})


async def take_up(database: Database, batch: str) -> int:
    """Take into a batch what killed processes left of the same; tells how many jobs that are.

    What is left can be any part; whoever takes it up puts in all, and keys make each once.
    """
    async with database.statement() as connection:
        left = (await connection.scalars(_LEFT, {"batch": batch, "for_s": TAKEN_UP_FOR_S})).all()
    return sum([await _move(database, one, batch) for one in left])


async def _move(database: Database, left: str, batch: str) -> int:
    """Move the jobs of a batch to another, unless a process is at it."""
    moved = 0
    while True:
        async with database.transaction() as connection:
            values = {"left": left, "batch": batch, "most": MOVED_AT_ONCE, "seed": LOCK_SEED}
            if not await connection.scalar(_TRY, values):
                return moved
            found = select(JobBatch.batch).where(JobBatch.batch == left).with_for_update()
            if await connection.scalar(found) is None:
                return moved
            some = (await connection.execute(_MOVE, values)).rowcount
            if not some:
                await connection.execute(_FORGET, values)
        moved += some


_HOLD = text("SELECT pg_advisory_lock(hashtextextended(:batch, :seed))")
_TRY = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:left, :seed))")
_HAND_ON = text("UPDATE job_batches SET fingerprint = '' WHERE batch = :batch")
_FORGET = text("DELETE FROM job_batches WHERE batch = :left")

_LEFT = text(
    """
    SELECT l.batch FROM job_batches l JOIN job_batches b USING (pool, fingerprint)
    WHERE b.batch = :batch AND l.batch <> b.batch AND b.fingerprint <> ''
      AND l.created_at > now() - make_interval(secs => :for_s)
    ORDER BY l.created_at
    """
)

_MOVE = text(
    """
    UPDATE jobs SET batch = :batch, key = :batch || substr(key, length(:left) + 1)
    WHERE job_id IN (
        SELECT j.job_id FROM jobs j WHERE j.batch = :left AND starts_with(j.key, :left || '/')
          AND NOT EXISTS (SELECT FROM jobs o WHERE o.pool = j.pool
                          AND o.key = :batch || substr(j.key, length(:left) + 1))
        ORDER BY j.job_id LIMIT :most FOR UPDATE OF j)
    """
)
