"""Batches of jobs, and who is told when a batch or a job is finished."""

from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.pool_tables import Job, JobBatch
from durable_agents.models.base import Record
from durable_agents.models.errors import IdempotencyConflictError, InputError, NotFoundError
from durable_agents.models.jobs import Completion, OnComplete, Telling

TELLINGS_AT_ONCE = 20
LEASE_S = 120  # longer than one lane takes to tell of that many


class BatchRow(Record):
    """A batch as the database holds it."""

    batch: str
    pool: str
    about: str
    fingerprint: str
    sealed: bool


async def open_batch(
    connection: AsyncConnection,
    batch: str,
    *,
    pool: str,
    about: str = "",
    fingerprint: str = "",
    on_complete: OnComplete | None = None,
) -> BatchRow:
    """Open a batch; one that is there, of the same fingerprint, is left as it is.

    Raises:
        IdempotencyConflictError: It is there with another fingerprint, or in another pool.
    """
    told = on_complete.model_dump(mode="json", exclude_defaults=True) if on_complete else None
    values: dict[str, Any] = {
        "batch": batch,
        "pool": pool,
        "about": about,
        "fingerprint": fingerprint,
    }
    if told is not None:
        values["on_complete"] = told
    await connection.execute(insert(JobBatch).values(**values).on_conflict_do_nothing())
    found = await find_batch(connection, batch)
    if (found.pool, found.fingerprint) != (pool, fingerprint):
        raise IdempotencyConflictError(
            f"Batch {batch} is there already, with other jobs or in another pool than {pool}. "
            "Give this one another name."
        )
    return found


async def find_batch(connection: AsyncConnection, batch: str) -> BatchRow:
    """A batch by its name.

    Raises:
        NotFoundError: There is none.
    """
    columns = [JobBatch.__table__.c[name] for name in BatchRow.model_fields]
    query = select(*columns).where(JobBatch.batch == batch)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NotFoundError(f"There is no batch {batch}.")
    return BatchRow.model_validate(dict(row))


async def check_takes_jobs(connection: AsyncConnection, batch: str, *, pool: str) -> None:
    """Refuse jobs that a batch cannot take; until the transaction ends, nobody seals it.

    Raises:
        InputError: The batch is sealed, or its jobs are in another pool.
    """
    query = select(JobBatch.sealed, JobBatch.pool).where(JobBatch.batch == batch)
    row = (await connection.execute(query.with_for_update(read=True))).first()
    if row is not None and row.pool != pool:
        raise InputError(f"The jobs of batch {batch} are in pool {row.pool}. Put these there too.")
    if row is not None and row.sealed:
        raise InputError(
            f"Batch {batch} is sealed: it takes no more jobs. Open another one for these."
        )


async def seal(connection: AsyncConnection, batch: str) -> None:
    """Say that no more jobs come to a batch; then `wake` its pool, which may have it told."""
    await connection.execute(update(JobBatch).where(JobBatch.batch == batch).values(sealed=True))


async def counts(connection: AsyncConnection, batch: str) -> dict[str, int]:
    """How many jobs of a batch stand where."""
    counted = await connection.execute(
        select(Job.status, func.count()).where(Job.batch == batch).group_by(Job.status)
    )
    return {row[0]: row[1] for row in counted}


async def note_complete(connection: AsyncConnection, batch: str) -> bool:
    """Have it told that a batch is complete, if it is.

    Call it after the commit of whatever finished a job: of two that finish at once, the later
    look sees both.
    """
    return (await connection.execute(_NOTE, {"batch": batch})).rowcount == 1


async def note_all_complete(connection: AsyncConnection, pool: str) -> int:
    """Have it told of each batch of a pool that is complete; tells how many there were."""
    return (await connection.execute(_NOTE_ALL, {"pool": pool})).rowcount


async def take_tellings(connection: AsyncConnection, pool: str) -> list[Telling]:
    """What is to be told now, 20 at most; others leave it alone for two minutes."""
    values = {"pool": pool, "most": TELLINGS_AT_ONCE, "lease_s": LEASE_S}
    jobs = await connection.execute(_TAKE_JOBS, values)
    taken = [
        _telling(
            row.on_complete,
            Completion(
                pool=pool,
                job_id=row.job_id,
                batch=row.batch or "",
                key=row.key or "",
                status=row.status,
                error_type=row.error_type,
                error=row.error,
            ),
        )
        for row in jobs
    ]
    for row in (await connection.execute(_TAKE_BATCHES, values)).all():
        counted = await counts(connection, row.batch)
        completion = Completion(pool=pool, batch=row.batch, counts=counted)
        taken.append(_telling(row.on_complete, completion))
    return taken


def _telling(on_complete: Any, completion: Completion) -> Telling:
    to = OnComplete.model_validate(on_complete)
    completion = completion.model_copy(update={"context": to.context})
    return Telling(to=to.model_copy(update={"context": None}), completion=completion)


async def note_told(
    connection: AsyncConnection, *, jobs: tuple[int, ...], batches: tuple[str, ...]
) -> None:
    """Note what was told, so that it is not told again."""
    values = {"tell_at": None, "told_at": func.now()}
    if jobs:
        await connection.execute(update(Job).where(Job.job_id.in_(jobs)).values(**values))
    if batches:
        statement = update(JobBatch).where(JobBatch.batch.in_(batches)).values(**values)
        await connection.execute(statement)


_COMPLETE = """
    UPDATE job_batches b SET tell_at = now()
    WHERE b.sealed AND b.tell_at IS NULL AND b.told_at IS NULL AND b.on_complete IS NOT NULL
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.batch = b.batch
                      AND j.status IN ('queued', 'delayed', 'running'))
"""

_NOTE = text(f"{_COMPLETE} AND b.batch = :batch")
_NOTE_ALL = text(f"{_COMPLETE} AND b.pool = :pool")

_TAKE_JOBS = text(
    """
    UPDATE jobs SET tell_at = now() + make_interval(secs => :lease_s) WHERE job_id IN (
        SELECT job_id FROM jobs WHERE pool = :pool AND tell_at <= now()
        ORDER BY tell_at LIMIT :most FOR UPDATE SKIP LOCKED)
    RETURNING job_id, batch, key, status, error_type, error, on_complete
    """
)

_TAKE_BATCHES = text(
    """
    UPDATE job_batches SET tell_at = now() + make_interval(secs => :lease_s) WHERE batch IN (
        SELECT batch FROM job_batches WHERE pool = :pool AND tell_at <= now()
        ORDER BY tell_at LIMIT :most FOR UPDATE SKIP LOCKED)
    RETURNING batch, on_complete
    """
)
