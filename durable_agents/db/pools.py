"""The work pools themselves: how many jobs run at once, whether they are paused, how they stand."""

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.pool_tables import Job, Pool
from durable_agents.models.errors import InputError, NotFoundError
from durable_agents.models.jobs import MAX_PARALLELISM, JobCount, PoolStatus

LONGEST_RETENTION_S = 10 * 366 * 86_400


async def ensure_pool(
    connection: AsyncConnection, pool: str, *, max_parallelism: int | None = None
) -> None:
    """Make a pool; one that is there is left as it is.

    Raises:
        InputError: The parallelism is below 0 or above 1,000.
    """
    values = {} if max_parallelism is None else {"max_parallelism": _usable(max_parallelism)}
    await connection.execute(insert(Pool).values(pool=pool, **values).on_conflict_do_nothing())


async def configure(
    connection: AsyncConnection,
    pool: str,
    *,
    max_parallelism: int | None = None,
    is_paused: bool | None = None,
    retention_s: int | None = None,
) -> PoolStatus:
    """Change what is given of a pool. Jobs that run are finished.

    Raises:
        InputError: The parallelism is below 0 or above 1,000, or the retention is not usable.
        NotFoundError: There is no such pool.
    """
    values: dict[str, int | bool] = {}
    if max_parallelism is not None:
        values["max_parallelism"] = _usable(max_parallelism)
    if is_paused is not None:
        values["is_paused"] = is_paused
    if retention_s is not None:
        if not 0 <= retention_s <= LONGEST_RETENTION_S:
            raise InputError(
                f"Finished jobs cannot be kept for {retention_s} s: give 0 to "
                f"{LONGEST_RETENTION_S}."
            )
        values["retention_s"] = retention_s
    if values:
        await connection.execute(update(Pool).where(Pool.pool == pool).values(**values))
    return await find_pool(connection, pool)


def _usable(max_parallelism: int) -> int:
    if not 0 <= max_parallelism <= MAX_PARALLELISM:
        raise InputError(
            f"A pool cannot run {max_parallelism} jobs at once: give a number from 0 (none) to "
            f"{MAX_PARALLELISM:,}."
        )
    return max_parallelism


async def find_pool(connection: AsyncConnection, pool: str) -> PoolStatus:
    """A pool, without the counts of its jobs.

    Raises:
        NotFoundError: There is none of this name; says which there are.
    """
    found = (await connection.execute(_POOLS.where(Pool.pool == pool))).mappings().first()
    if found is None:
        names = list(await connection.scalars(select(Pool.pool).order_by(Pool.pool).limit(20)))
        there = f"There are: {', '.join(names)}." if names else "There are none yet."
        raise NotFoundError(f"There is no pool {pool}. {there}")
    return PoolStatus.model_validate(dict(found))


async def list_pools(connection: AsyncConnection) -> list[PoolStatus]:
    """All pools with the counts of their jobs, by name."""
    found = (await connection.execute(_POOLS.order_by(Pool.pool))).mappings().all()
    counted = await connection.execute(
        select(Job.pool, Job.status, func.count()).group_by(Job.pool, Job.status)
    )
    counts: dict[str, dict[str, int]] = {}
    for pool, status, count in counted:
        counts.setdefault(pool, {})[status] = count
    return [
        PoolStatus.model_validate({**row, "counts": counts.get(row["pool"], {})}) for row in found
    ]


async def status(connection: AsyncConnection, pool: str) -> PoolStatus:
    """A pool, and how many of its jobs stand where, per tenant and in all.

    Raises:
        NotFoundError: There is no such pool.
    """
    found = await find_pool(connection, pool)
    counted = await connection.execute(
        select(Job.tenant, Job.status, func.count())
        .where(Job.pool == pool)
        .group_by(Job.tenant, Job.status)
        .order_by(Job.tenant, Job.status)
    )
    tenants = tuple(
        JobCount.model_validate({"tenant": row[0], "status": row[1], "count": row[2]})
        for row in counted
    )
    counts: dict[str, int] = {}
    for each in tenants:
        counts[each.status] = counts.get(each.status, 0) + each.count
    return found.model_copy(update={"counts": counts, "tenants": tenants})


async def pools_with_work(connection: AsyncConnection, namespace: str) -> list[str]:
    """The pools of a namespace, or of none yet, with jobs to run or completions to tell."""
    return list(await connection.scalars(_WITH_WORK, {"namespace": namespace}))


_POOLS = select(Pool.pool, Pool.max_parallelism, Pool.is_paused, Pool.retention_s)

_WITH_WORK = text(
    """
    SELECT pool FROM pools p WHERE p.namespace IN ('', :namespace) AND (
        EXISTS (SELECT FROM jobs j WHERE j.pool = p.pool AND j.status = 'queued')
        OR EXISTS (SELECT FROM jobs j WHERE j.pool = p.pool AND j.status = 'delayed')
        OR EXISTS (SELECT FROM jobs j WHERE j.pool = p.pool AND j.tell_at <= now())
        OR EXISTS (SELECT FROM job_batches b WHERE b.pool = p.pool AND b.tell_at <= now()))
    ORDER BY pool
    """
)
