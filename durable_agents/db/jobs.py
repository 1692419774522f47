"""The jobs of the work pools: put in, queued when they are due, looked at."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.batches import check_takes_jobs
from durable_agents.db.pool_tables import Job
from durable_agents.db.pools import find_pool
from durable_agents.db.ranks import Ranks
from durable_agents.db.storable import storable, storable_json
from durable_agents.models.errors import InputError, NotFoundError
from durable_agents.models.jobs import (
    MAX_PAYLOAD_BYTES,
    JobRetry,
    JobRow,
    JobStatus,
    NewJob,
)
from durable_agents.telemetry.spans import SPANS

ROWS_AT_ONCE = 1000
BYTES_AT_ONCE = 8_000_000  # of payloads in one statement
BYTES_KEPT = 32_000_000  # of payloads as JSON, between looking at them and putting them in
PROMOTED_AT_ONCE = 200


async def enqueue(
    connection: AsyncConnection, pool: str, jobs: Sequence[NewJob], *, batch: str | None = None
) -> list[int]:
    """Put jobs into a pool, for the transaction of whoever asks; then `wake` the pool's lanes.

    Others who enqueue to the pool wait until that transaction ends, so keep it short.

    Returns:
        The ids of the new jobs, in their order. A job whose key the pool has already is left out.

    Raises:
        InputError: A payload is over 256 KiB or is not JSON, or the batch is sealed; nothing is
            put in.
        NotFoundError: There is no such pool.
    """
    told = {"durable_agents.pool": pool, "durable_agents.jobs": len(jobs)}
    with SPANS.span("EnqueueJobs", "producer", told):
        return await _enqueue(connection, pool, jobs, batch)


async def _enqueue(
    connection: AsyncConnection, pool: str, jobs: Sequence[NewJob], batch: str | None
) -> list[int]:
    looked_at = _looked_at(jobs)
    await find_pool(connection, pool)
    ranks = await Ranks.of(connection, pool, ((job.priority, job.tenant) for job in jobs))
    new = await _without_known(connection, pool, looked_at)
    if new and batch is not None:
        await check_takes_jobs(connection, batch, pool=pool)
    now = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    ids: list[int] = []
    for some in _portions(new):
        rows: list[str] = []
        for place, (job, payload) in enumerate(some):
            delayed = job.not_before is not None and job.not_before > now
            rank = 0.0 if delayed else ranks.next((job.priority, job.tenant), job.weight)
            status = "delayed" if delayed else "queued"
            rows.append(_row_of(job, payload, place=place, rank=rank, status=status))
        values = {
            "pool": pool,
            "batch": batch,
            "rows": f"[{','.join(rows)}]",
            "traceparent": SPANS.traceparent(),
        }
        ids.extend(sorted(await connection.scalars(_INSERT, values)))
    await ranks.save(connection)
    return ids


def payload_of(job: NewJob, place: int = 1, of: int = 1) -> str:
    """A job's payload as the JSON that is stored.

    Raises:
        InputError: It is over 256 KiB, is not JSON, or holds a NUL character.
    """
    name = f"The payload of job {place} of {of}"
    try:
        payload = json.dumps(job.payload, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not JSON: {error}.") from error
    size = len(payload)  # escaped, so that every character is one byte
    if size > MAX_PAYLOAD_BYTES:
        raise InputError(
            f"{name} has {size:,} bytes, and a pool takes {MAX_PAYLOAD_BYTES:,} at most: store "
            "what is large, and give the job its id."
        )
    if "\\u0000" in payload:  # PostgreSQL's text cannot hold it
        raise InputError(f"{name} contains a NUL character; take it out.")
    return payload


def _looked_at(jobs: Sequence[NewJob]) -> list[tuple[NewJob, str]]:
    """The jobs with their payloads as JSON; where that would be very much, it is made again."""
    size, looked_at = 0, list[tuple[NewJob, str]]()
    for place, job in enumerate(jobs, 1):
        payload = payload_of(job, place, len(jobs))
        size += len(payload)
        looked_at.append((job, payload if size <= BYTES_KEPT else ""))
    return looked_at


def _portions(new: Sequence[tuple[NewJob, str]]) -> Iterator[list[tuple[NewJob, str]]]:
    """The jobs in portions of which a statement takes one."""
    some, size = list[tuple[NewJob, str]](), 0
    for job, kept in new:
        payload = kept or payload_of(job)
        if some and (len(some) >= ROWS_AT_ONCE or size + len(payload) > BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append((job, payload))
        size += len(payload)
    if some:
        yield some


async def _without_known(
    connection: AsyncConnection, pool: str, given: list[tuple[NewJob, str]]
) -> list[tuple[NewJob, str]]:
    """Those whose key is new; two of one key count as one. The pool's lock is held."""
    keys = [storable(job.key) for job, _ in given if job.key is not None]
    seen: set[str] = set()
    if keys:
        statement = select(Job.key).where(Job.pool == pool, Job.key == func.any(keys))
        seen.update(key for key in await connection.scalars(statement) if key is not None)
    new: list[tuple[NewJob, str]] = []
    for job, payload in given:
        key = None if job.key is None else storable(job.key)
        if key is None or key not in seen:
            new.append((job, payload))
        if key is not None:
            seen.add(key)
    return new


def _row_of(job: NewJob, payload: str, *, place: int, rank: float, status: str) -> str:
    """One row as JSON; the payload is written as it is, and not once more."""
    values: dict[str, Any] = {
        "place": place,
        "kind": job.kind,
        "key": job.key,
        "tenant": job.tenant,
        "priority": job.priority,
        "weight": job.weight,
        "rank": rank,
        "about": job.about,
        "retry": None if job.retry == JobRetry() else job.retry.model_dump(exclude_defaults=True),
        "timeout_s": job.timeout_s,
        "on_complete": job.on_complete.model_dump(mode="json", exclude_defaults=True)
        if job.on_complete
        else None,
        "status": status,
        "not_before": job.not_before.isoformat() if job.not_before else None,
    }
    return f'{storable_json(values)[:-1]}, "payload": {payload}}}'


async def promote(connection: AsyncConnection, pool: str) -> int:
    """Queue the delayed jobs that are due, 200 at most; tells how many. For a transaction."""
    due = (await connection.execute(_DUE, {"pool": pool, "most": PROMOTED_AT_ONCE})).all()
    if not due:
        return 0
    ranks = await Ranks.of(connection, pool, ((row.priority, row.tenant) for row in due))
    queued = [
        ranks.again((row.priority, row.tenant), row.rank)
        if row.failures
        else ranks.next((row.priority, row.tenant), row.weight)
        for row in due
    ]
    values = {"ids": [row.job_id for row in due], "ranks": queued}
    promoted = (await connection.execute(_PROMOTE, values)).rowcount
    await ranks.save(connection)
    return promoted


async def list_jobs(
    connection: AsyncConnection,
    pool: str,
    *,
    status: JobStatus | None = None,
    batch: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[JobRow]:
    """Jobs of a pool by id; the next page begins after the last id of this one."""
    query = select(*_SHOWN).where(Job.pool == pool, Job.job_id > after)
    if status is not None:
        query = query.where(Job.status == status)
    if batch is not None:
        query = query.where(Job.batch == batch)
    found = await connection.execute(query.order_by(Job.job_id).limit(limit))
    return [JobRow.model_validate(dict(row)) for row in found.mappings()]


async def find_job(connection: AsyncConnection, job_id: int) -> JobRow:
    """A job by its id.

    Raises:
        NotFoundError: There is none.
    """
    found = (await connection.execute(select(*_SHOWN).where(Job.job_id == job_id))).mappings()
    row = found.first()
    if row is None:
        raise NotFoundError(f"There is no job {job_id}; it may have been put away long ago.")
    return JobRow.model_validate(dict(row))


_SHOWN = [Job.__table__.c[name] for name in JobRow.model_fields]

_INSERT = text(
    """
    INSERT INTO jobs (pool, batch, kind, key, tenant, priority, weight, rank, payload, about,
                      retry, timeout_s, on_complete, status, not_before, traceparent)
    SELECT :pool, :batch, kind, key, tenant, priority, weight, rank,
           COALESCE(payload, 'null'), about,
           retry, timeout_s, on_complete, status, not_before, :traceparent
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (
        place integer, kind text, key text, tenant text, priority smallint,
        weight double precision, rank double precision, payload jsonb, about text, retry jsonb,
        timeout_s double precision, on_complete jsonb, status text, not_before timestamptz)
    ORDER BY place
    RETURNING job_id
    """
)

_DUE = text(
    """
    SELECT job_id, priority, tenant, weight, failures, rank FROM jobs
    WHERE pool = :pool AND status = 'delayed' AND not_before <= now()
    ORDER BY not_before LIMIT :most FOR UPDATE SKIP LOCKED
    """
)

_PROMOTE = text(
    """
    UPDATE jobs SET status = 'queued', rank = w.rank
    FROM unnest(CAST(:ids AS bigint[]), CAST(:ranks AS double precision[])) AS w (job_id, rank)
    WHERE jobs.job_id = w.job_id AND jobs.status = 'delayed'
    """
)
