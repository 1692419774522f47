"""What a lane reports of the job before: a failure, a cancel, or what a workflow came to."""

import random
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.claims import taken_over
from durable_agents.db.storable import storable_json
from durable_agents.models.errors import DatabaseUnavailableError
from durable_agents.models.jobs import MAX_PAYLOAD_BYTES, JobRetry
from durable_agents.models.work_pool import LaneReport

LONGEST_WAIT_S = 7 * 86_400
JITTER_OF_NAMED = 0.1  # so that not all who were named one delay come at one moment
MAX_ERROR_CHARS = 2000
MOST_LOST = 5
"""So often a job may be handed out and end in nothing, as when its worker died; then it failed."""


async def settle(
    connection: AsyncConnection, report: LaneReport, *, lane_run: str = ""
) -> str | None:
    """Store what became of a job, for the transaction of the next claim.

    A failure that is final, or the last that the job may have, ends it; after another it is
    delayed. A try that was lost with its worker, or to an outage of the database, uses up none of
    those that the job may have, but after five such the job has failed: it may be what kills its
    workers. A report that comes twice, or late, changes nothing.

    Args:
        connection: Where the jobs are.
        report: What the lane says.
        lane_run: The run of the lane that says it.

    Returns:
        The job's batch, when the job is finished now and has one.
    """
    values: dict[str, Any] = {"job_id": report.job_id, "fence": report.fence}
    values["taken_over"] = taken_over(lane_run, report.fence)
    row = (await connection.execute(_LOCK, values)).first()
    if row is None:
        return None
    failures, status, wait_s = row.failures, report.outcome, 0.0
    error_type, error = report.error_type, report.error
    if status == "failed" and report.is_lost:
        lost = row.fence - failures
        status, wait_s = _after_loss(report, lost, row)
        if status == "failed" and error_type != DatabaseUnavailableError.__name__:
            error_type, error = "PoisonJobError", _POISON.format(lost=lost, error=error)
    elif status == "failed":
        failures += 1
        status, wait_s = _after_failure(report, failures, row)
    result = storable_json(report.result) if report.outcome == "done" else None
    if result is not None and len(result) > MAX_PAYLOAD_BYTES:
        result, error_type = None, "InputError"
        error = "The result is too large to be kept with the job; the run has it."
    values |= {"status": status, "failures": failures, "wait_s": wait_s, "result": result}
    values |= {"error_type": error_type[:200], "error": error[:MAX_ERROR_CHARS]}
    await connection.execute(_SETTLE, values)
    return row.batch if status in {"done", "failed", "cancelled"} else None


def _after_failure(report: LaneReport, failures: int, row: Any) -> tuple[str, float]:
    """Where a job goes that failed, and how long it waits there."""
    retry = JobRetry.model_validate(row.retry or {})
    if row.cancel_requested:
        return "cancelled", 0
    if report.is_final or failures >= retry.attempts:
        return "failed", 0
    if report.at_once and failures == 1:
        return "queued", 0
    return "delayed", wait_before(retry, failures, report.retry_after_s)


def _after_loss(report: LaneReport, lost: int, row: Any) -> tuple[str, float]:
    """Where a job goes that was lost so often, and how long it waits there."""
    if row.cancel_requested:
        return "cancelled", 0
    if lost >= MOST_LOST:
        return "failed", 0
    if report.at_once and lost == 1:
        return "queued", 0
    return "delayed", wait_before(
        JobRetry.model_validate(row.retry or {}), lost, report.retry_after_s
    )


def wait_before(retry: JobRetry, failures: int, retry_after_s: float | None) -> float:
    """Seconds until the next try: full jitter, or what a server named and a little more."""
    if retry_after_s is not None:
        named = min(retry_after_s, LONGEST_WAIT_S)
        return named * (1 + random.uniform(0, JITTER_OF_NAMED))  # noqa: S311 - no secret
    try:
        longest = min(retry.max_s, retry.initial_s * retry.backoff ** (failures - 1))
    except OverflowError:
        longest = retry.max_s
    return random.uniform(0, longest)  # noqa: S311 - no secret


async def put_back(connection: AsyncConnection, *, pool: str, lane: int, claim: str) -> int:
    """Queue what a lane's runs before this one have left running; tells how many.

    For the first claim of a run: no other run of the lane is open.
    """
    values = {"pool": pool, "lane": lane, "run": claim.partition("/")[0]}
    return (await connection.execute(_PUT_BACK, values)).rowcount


async def put_back_one(connection: AsyncConnection, *, job_id: int, fence: int) -> bool:
    """Queue a job whose lane's run is closed, and call the lane asleep, so that it is woken.

    Returns:
        Whether it was so; somebody else may be quicker.
    """
    values = {"job_id": job_id, "fence": fence}
    return (await connection.execute(_PUT_BACK_ONE, values)).rowcount == 1


_POISON = (
    "The job was handed out {lost} times and came to nothing, so it may be the job that ends its "
    "workers. See their logs and their memory; then enqueue it again. The last time: {error}"
)

_LOCK = text(
    """
    SELECT failures, fence, retry, batch, cancel_requested FROM jobs
    WHERE job_id = :job_id AND status = 'running' AND (fence = :fence OR claim = :taken_over)
    FOR UPDATE
    """
)

_SETTLE = text(
    """
    UPDATE jobs SET status = :status, failures = :failures, result = CAST(:result AS jsonb),
        error_type = :error_type, error = :error,
        not_before = CASE WHEN :status = 'delayed'
            THEN now() + make_interval(secs => :wait_s) ELSE not_before END,
        finished_at = CASE WHEN :status IN ('done', 'failed', 'cancelled') THEN now() END,
        tell_at = CASE WHEN :status IN ('done', 'failed', 'cancelled') AND on_complete IS NOT NULL
            THEN now() END
    WHERE job_id = :job_id
    """
)

_QUEUED_AGAIN = """
    UPDATE jobs SET
        status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END,
        finished_at = CASE WHEN cancel_requested THEN now() END,
        tell_at = CASE WHEN cancel_requested AND on_complete IS NOT NULL THEN now() END
"""

_PUT_BACK = text(
    f"""
    {_QUEUED_AGAIN}
    WHERE pool = :pool AND lane = :lane AND status = 'running' AND split_part(claim, '/', 1) <> :run
    """
)

_PUT_BACK_ONE = text(
    f"""
    WITH put_back AS (
        {_QUEUED_AGAIN}
        WHERE job_id = :job_id AND fence = :fence AND status = 'running' RETURNING pool, lane
    )
    UPDATE pool_lanes SET state = 'asleep' FROM put_back
    WHERE pool_lanes.pool = put_back.pool AND pool_lanes.lane = put_back.lane
    """  # noqa: S608 - constants
)
