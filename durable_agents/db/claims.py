"""Handing out jobs and taking back what became of them.

Each handing out raises the job's fence. Whoever writes for a job names the fence that it was
handed out with, and is refused when the job has another, or does not run any more: so of several
who believe that they hold a job, one writes.
"""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.storable import storable_json
from durable_agents.models.base import Record
from durable_agents.models.errors import InputError, StaleJobError
from durable_agents.models.jobs import MAX_PAYLOAD_BYTES, WORKFLOW_KIND, ClaimedJob, JobRun
from durable_agents.models.work_pool import ClaimInput


class Claimed(Record):
    """What a lane may do next.

    Attributes:
        job: The job that it was handed, if any.
        is_current: Whether the lane is in its newest step; one that was overtaken gets nothing.
        is_due: Whether delayed jobs are due.
        is_telling: Whether somebody is to be told of a completion.
    """

    job: ClaimedJob | None = None
    is_current: bool = True
    is_due: bool = False
    is_telling: bool = False


class HeldJob(Record):
    """What the activity of a job needs to know of it, and the fence that it holds it by."""

    pool: str
    fence: int
    tenant: str
    batch: str | None
    failures: int
    payload: Any


async def claim(connection: AsyncConnection, request: ClaimInput) -> Claimed:
    """Hand a lane the next job of its pool, in one statement; the same claim gets the same job.

    A lane gets none while its pool is paused, or when the pool has fewer lanes by now.
    """
    values = {
        "pool": request.pool,
        "lane": request.lane,
        "claim": request.claim,
        "turn": request.turn,
    }
    try:
        row = (await connection.execute(_CLAIM, values)).one()
    except IntegrityError:  # this step runs twice at this moment: the other one was quicker
        row = (await connection.execute(_CLAIMED_BEFORE, values)).one()
    return Claimed(
        job=_job_of(row) if row.job_id is not None else None,
        is_current=row.is_current,
        is_due=row.is_due,
        is_telling=row.is_telling,
    )


def _job_of(row: Row[Any]) -> ClaimedJob:
    is_workflow = row.kind.startswith(WORKFLOW_KIND)
    return ClaimedJob(
        job_id=row.job_id,
        fence=row.fence,
        kind=row.kind,
        timeout_s=row.timeout_s,
        about=row.about,
        tenant=row.tenant if is_workflow else "",
        payload=row.payload if is_workflow else None,
        traceparent=row.traceparent,
    )


async def load(connection: AsyncConnection, run: JobRun, *, lane_run: str = "") -> HeldJob:
    """What a job is to do.

    A lane that was reset by hand runs its job once more, by what its history says, while the run
    before may have left an attempt open. So another run takes the job over, with a fence of its
    own.

    Args:
        connection: Where the jobs are.
        run: The job, and the fence that it was handed out with.
        lane_run: The run of the lane that has the job run; empty where that is not known.

    Raises:
        StaleJobError: The job was handed to another, was cancelled, or is finished.
    """
    values = _named(run)
    row = (await connection.execute(_LOAD, values)).mappings().first()
    if row is not None and lane_run and row["lane_run"] != lane_run:
        values |= {"lane_run": row["lane_run"], "claim": taken_over(lane_run, run.fence)}
        row = (await connection.execute(_TAKE_OVER, values)).mappings().first()
    if row is None:
        raise _stale(run)
    return HeldJob.model_validate(dict(row))


def taken_over(lane_run: str, fence: int) -> str:
    """The claim of a job that another run of its lane has taken over."""
    return f"{lane_run}/taken-over-{fence}"


async def hold(connection: AsyncConnection, run: JobRun) -> None:
    """Lock a job's row for the transaction of its holder.

    Raises:
        StaleJobError: The job was handed to another, was cancelled, or is finished.
    """
    if (await connection.execute(_HOLD, _named(run))).first() is None:
        raise _stale(run)


async def finish(
    connection: AsyncConnection, run: JobRun, result: BaseModel | dict[str, Any] | None = None
) -> None:
    """Store what a job came to.

    Raises:
        StaleJobError: The job was handed to another, was cancelled, or is finished.
        InputError: The result is over 256 KiB.
    """
    values = {**_named(run), "result": _result_of(run, result)}
    if (await connection.execute(_FINISH, values)).rowcount != 1:
        raise _stale(run)


def _result_of(run: JobRun, result: BaseModel | dict[str, Any] | None) -> str | None:
    if result is None:
        return None
    value = result.model_dump(mode="json") if isinstance(result, BaseModel) else result
    as_json = storable_json(value)
    if len(as_json.encode()) > MAX_PAYLOAD_BYTES:
        raise InputError(
            f"The result of job {run.job_id} has over {MAX_PAYLOAD_BYTES:,} bytes: store what is "
            "large, and return its id."
        )
    return as_json


def _named(run: JobRun) -> dict[str, Any]:
    return {"job_id": run.job_id, "fence": run.fence}


def _stale(run: JobRun) -> StaleJobError:
    return StaleJobError(
        f"Job {run.job_id} was handed to another, was cancelled or is finished since it was "
        f"handed out as number {run.fence}; nothing was written. There is nothing to do."
    )


_HANDED = f"""job_id, fence, kind, timeout_s, about, tenant, traceparent,
    CASE WHEN starts_with(kind, '{WORKFLOW_KIND}') THEN payload END AS payload"""

_ANSWER = """
    EXISTS (SELECT FROM jobs WHERE pool = :pool AND status = 'delayed' AND not_before <= now())
        AS is_due,
    EXISTS (SELECT FROM jobs WHERE pool = :pool AND tell_at <= now())
        OR EXISTS (SELECT FROM job_batches WHERE pool = :pool AND tell_at <= now()) AS is_telling
"""

_CLAIM = text(
    f"""
    WITH lane AS (
        UPDATE pool_lanes
        SET turn = :turn, state = 'awake', wakes_at = NULL, changed_at = now()
        WHERE pool = :pool AND lane = :lane AND turn <= :turn RETURNING lane
    ), before AS (
        SELECT {_HANDED}
        FROM jobs WHERE claim = :claim AND status = 'running'
    ), next AS (
        SELECT j.job_id FROM jobs j
        WHERE j.pool = :pool AND j.status = 'queued' AND EXISTS (SELECT FROM lane)
          AND NOT EXISTS (SELECT FROM before)
          AND EXISTS (SELECT FROM pools p WHERE p.pool = :pool AND NOT p.is_paused
                      AND p.max_parallelism > :lane)
        ORDER BY j.priority, j.rank, j.job_id LIMIT 1 FOR UPDATE OF j SKIP LOCKED
    ), claimed AS (
        UPDATE jobs SET status = 'running', claim = :claim, lane = :lane, fence = fence + 1,
            started_at = now()
        FROM next WHERE jobs.job_id = next.job_id
        RETURNING jobs.{_HANDED}
    )
    SELECT EXISTS (SELECT FROM lane) AS is_current, {_ANSWER}, handed.*
    FROM (VALUES (1)) AS one
    LEFT JOIN (SELECT * FROM before UNION ALL SELECT * FROM claimed) AS handed ON true
    """  # noqa: S608 - constants
)

_CLAIMED_BEFORE = text(
    f"""
    SELECT true AS is_current, {_ANSWER}, {_HANDED}
    FROM jobs WHERE claim = :claim AND status = 'running'
    """  # noqa: S608 - constants
)

_HELD = "pool, fence, tenant, batch, failures, payload, split_part(claim, '/', 1) AS lane_run"

_LOAD = text(
    f"""
    SELECT {_HELD} FROM jobs WHERE job_id = :job_id AND fence = :fence AND status = 'running'
    """  # noqa: S608 - constants
)

_TAKE_OVER = text(
    f"""
    UPDATE jobs SET fence = fence + 1, claim = :claim
    WHERE job_id = :job_id AND fence = :fence AND status = 'running'
      AND split_part(claim, '/', 1) = :lane_run
    RETURNING {_HELD}
    """  # noqa: S608 - constants
)

_HOLD = text(
    """
    SELECT job_id FROM jobs WHERE job_id = :job_id AND fence = :fence AND status = 'running'
    FOR NO KEY UPDATE
    """
)

_FINISH = text(
    """
    UPDATE jobs SET status = 'done', result = CAST(:result AS jsonb), finished_at = now(),
        tell_at = CASE WHEN on_complete IS NOT NULL THEN now() END
    WHERE job_id = :job_id AND fence = :fence AND status = 'running'
    """
)
