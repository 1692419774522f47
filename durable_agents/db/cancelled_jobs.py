"""Cancelling the jobs of the work pools: those that wait at once, those that run by their lane."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.pools import find_pool
from durable_agents.models.errors import NotFoundError
from durable_agents.models.jobs import JobRun, JobStatus


async def cancel(connection: AsyncConnection, pool: str, job_id: int) -> tuple[JobStatus, int]:
    """Cancel a job: at once when it has not begun, else its lane is to be told to stop it.

    Returns:
        The job's status now, and its lane, which is -1 unless it runs.

    Raises:
        NotFoundError: The pool has no such job.
    """
    values = {"pool": pool, "job_id": job_id}
    row = (await connection.execute(_CANCEL_ONE, values)).first()
    if row is None:
        await find_pool(connection, pool)
        raise NotFoundError(
            f"Pool {pool} has no job {job_id}. `durable-agents pool jobs {pool}` lists those "
            "there are."
        )
    return row.status, row.lane if row.status == "running" else -1


async def cancel_all(
    connection: AsyncConnection, pool: str
) -> tuple[int, list[tuple[int, JobRun]]]:
    """Cancel all jobs of a pool that have not begun, and mark those that run.

    One statement: of several, each could miss a job that begins or fails in between.

    Returns:
        How many had not begun; lanes and runs of the others, which are to be told to stop.
    """
    await find_pool(connection, pool)
    ended = (await connection.execute(_CANCEL_ALL, {"pool": pool})).all()
    running = [(row.lane, JobRun(job_id=row.job_id, fence=row.fence)) for row in ended if row.runs]
    return len(ended) - len(running), running


_CANCELLED = """
    UPDATE jobs SET
        status = CASE WHEN status IN ('queued', 'delayed') THEN 'cancelled' ELSE status END,
        cancel_requested = cancel_requested OR finished_at IS NULL,
        finished_at = CASE WHEN status IN ('queued', 'delayed') THEN now() ELSE finished_at END,
        tell_at = CASE WHEN status IN ('queued', 'delayed') AND on_complete IS NOT NULL THEN now()
                       ELSE tell_at END
"""

_CANCEL_ONE = text(f"{_CANCELLED} WHERE pool = :pool AND job_id = :job_id RETURNING status, lane")

_CANCEL_ALL = text(
    f"""
    {_CANCELLED} WHERE pool = :pool AND status IN ('queued', 'delayed', 'running')
    RETURNING job_id, fence, lane, status = 'running' AS runs
    """
)
