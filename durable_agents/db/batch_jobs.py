"""The jobs of a batch, as whoever made the batch looks at them: by key, all cancelled, watched."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.batches import find_batch
from durable_agents.models.jobs import JobRow, JobRun, OnComplete

MOST_ATTEMPTS = 1000  # that a job may have


async def follow(connection: AsyncConnection, batch: str, on_complete: OnComplete) -> None:
    """Have somebody told when a batch is complete, in place of whom it was before.

    Then `wake` its pool, which may be complete already.

    Raises:
        NotFoundError: There is no such batch.
    """
    await find_batch(connection, batch)
    values = {"batch": batch, "told": on_complete.model_dump_json(exclude_defaults=True)}
    await connection.execute(_FOLLOW, values)


async def cancel_batch(connection: AsyncConnection, batch: str) -> list[tuple[int, JobRun]]:
    """Cancel the jobs of a batch that have not begun, and mark those that run. It is sealed.

    Returns:
        Lanes and runs of those that run, which are to be told to stop.
    """
    values = {"batch": batch}
    await connection.execute(_SEAL, values)
    await connection.execute(_CANCEL_WAITING, values)
    begun = await connection.execute(_CANCEL_RUNNING, values)
    return [(row.lane, JobRun(job_id=row.job_id, fence=row.fence)) for row in begun]


async def retry_failed(connection: AsyncConnection, batch: str, attempts: int) -> int:
    """Put the jobs of a batch that failed or were cancelled in once more; tells how many.

    They keep their places in the order. Then `wake` the pool.

    Args:
        connection: Where the jobs are.
        batch: The batch.
        attempts: How often each may be tried now.

    Raises:
        NotFoundError: There is no such batch.
    """
    await find_batch(connection, batch)
    values = {"batch": batch, "attempts": attempts, "most": MOST_ATTEMPTS}
    again = (await connection.execute(_RETRY_FAILED, values)).rowcount
    if again:
        await connection.execute(_UNTOLD, {"batch": batch})
    return again


async def jobs_by_key(
    connection: AsyncConnection, pool: str, keys: Sequence[str]
) -> dict[str, JobRow]:
    """Jobs of a pool by their keys; those that are not there are left out."""
    found = await connection.execute(_BY_KEY, {"pool": pool, "keys": list(keys)})
    rows = [JobRow.model_validate(dict(row)) for row in found.mappings()]
    return {row.key: row for row in rows if row.key is not None}


_RETRY_FAILED = text(
    """
    UPDATE jobs SET status = 'delayed', not_before = now(), finished_at = NULL,
        cancel_requested = false, tell_at = NULL, told_at = NULL, error_type = '', error = '',
        retry = jsonb_set(COALESCE(retry, '{}'), '{attempts}',
                          to_jsonb(least(failures + :attempts, :most)))
    WHERE batch = :batch AND status IN ('failed', 'cancelled')
    """
)

_UNTOLD = text("UPDATE job_batches SET tell_at = NULL, told_at = NULL WHERE batch = :batch")

_SEAL = text("UPDATE job_batches SET sealed = true WHERE batch = :batch")

_FOLLOW = text(
    """
    UPDATE job_batches SET on_complete = CAST(:told AS jsonb), tell_at = NULL, told_at = NULL
    WHERE batch = :batch
    """
)

_CANCEL_WAITING = text(
    """
    UPDATE jobs SET status = 'cancelled', finished_at = now(), cancel_requested = true,
        tell_at = CASE WHEN on_complete IS NOT NULL THEN now() END
    WHERE batch = :batch AND status IN ('queued', 'delayed')
    """
)

_CANCEL_RUNNING = text(
    """
    UPDATE jobs SET cancel_requested = true WHERE batch = :batch AND status = 'running'
    RETURNING lane, job_id, fence
    """
)

_BY_KEY = text(
    f"""
    SELECT {", ".join(JobRow.model_fields)} FROM jobs WHERE pool = :pool AND key = ANY(:keys)
    """  # noqa: S608 - constants
)
