"""Which lanes of a pool are awake, and which of them to wake.

A lane goes to sleep, and others wake it, under one advisory lock for each pool. A lane that goes
to sleep looks once more, under the lock, whether anything is queued. So either it sees a job, or
whoever put the job in comes later, sees the lane asleep, and wakes it.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.models.base import Record
from durable_agents.models.errors import ConfigurationError

LOCK_SEED = 3  # keeps these locks apart from others that hash text
STUCK_S = 10
"""A lane that is called awake, and has not asked for a job this long, may be gone."""
AHEAD_S = 60
"""A turn that lies further ahead is of a clock that has been set back since."""


class Sleep(Record):
    """Whether a lane may rest: until it is woken, for some seconds, or not at all."""

    is_over: bool = False
    wait_s: float = 0


class Suspect(Record):
    """A job that runs, and the run of the lane that was handed it."""

    job_id: int
    fence: int
    pool: str
    lane: int
    run_id: str


async def begin(connection: AsyncConnection, *, pool: str, lane: int, turn: int) -> bool:
    """Note that a lane's run has begun, unless the lane has gone on since.

    Whoever was stopped in a run's first step and wakes late must not put back what the lane runs
    by now. A turn that lies ahead of the present says nothing: a clock has been set back.

    Returns:
        Whether this is the lane's newest step.
    """
    values = {"pool": pool, "lane": lane, "turn": turn, "ahead_s": AHEAD_S}
    return (await connection.execute(_BEGIN, values)).rowcount == 1


async def go_to_sleep(connection: AsyncConnection, *, pool: str, lane: int) -> Sleep:
    """Let a lane rest if there is nothing for it to do; for a transaction.

    One lane waits for the next delayed job, with a timer; the others end. For a completion that
    another lane is telling just now nobody waits: if it is lost, the workers' reconciler notices.
    """
    await _lock(connection, pool)
    seen = (await connection.execute(_SEEN, {"pool": pool, "lane": lane})).one()
    if seen.is_telling or (seen.is_open and seen.queued):
        return Sleep()
    wait_s = seen.wait_s if seen.is_open else None
    state = "asleep" if wait_s is None else "waiting"
    values = {"pool": pool, "lane": lane, "state": state, "wait_s": wait_s}
    await connection.execute(_REST, values)
    return Sleep(is_over=True) if wait_s is None else Sleep(wait_s=max(wait_s, 0.001))


async def lanes_to_wake(connection: AsyncConnection, pool: str, namespace: str) -> Sequence[int]:
    """Take the lanes that are needed for what is queued, and call them awake; for a transaction.

    Lanes that are awake without a job are about to take one each; they are not needed twice.

    Raises:
        ConfigurationError: The pool's lanes run in another namespace.
    """
    await _lock(connection, pool)
    seen = (await connection.execute(_NEEDED, {"pool": pool})).first()
    if seen is None:
        return ()
    if not seen.namespace:
        await connection.execute(_SETTLE_DOWN, {"pool": pool, "namespace": namespace})
    elif seen.namespace != namespace:
        raise ConfigurationError(
            f"Pool {pool} works in the Temporal namespace {seen.namespace}, and not in "
            f"{namespace}. Set TEMPORAL_NAMESPACE to it, or use another pool."
        )
    needed = 0 if seen.is_paused else seen.queued - max(seen.awake - seen.running, 0)
    if seen.is_telling and seen.awake <= seen.running:
        needed = max(needed, 1)
    is_open = not seen.is_paused and seen.max_parallelism > 0
    if is_open and seen.delayed_at is not None and not seen.is_awaited:
        needed = max(needed, 1)
    if needed <= 0:
        return ()
    values = {"pool": pool, "lanes": max(seen.max_parallelism, 1), "needed": needed}
    return sorted(await connection.scalars(_WAKE, values))


async def stuck_lanes(connection: AsyncConnection, pool: str) -> Sequence[int]:
    """Lanes that are called awake or waiting, and do not behave so: they may be gone."""
    return list(await connection.scalars(_STUCK, {"pool": pool, "stuck_s": STUCK_S}))


async def long_running(
    connection: AsyncConnection, namespace: str, *, older_than_s: float
) -> list[Suspect]:
    """Jobs of a namespace that have run for some time; their lanes may be gone."""
    values = {"namespace": namespace, "older_than_s": older_than_s}
    found = await connection.execute(_LONG_RUNNING, values)
    return [Suspect.model_validate(dict(row)) for row in found.mappings()]


async def _lock(connection: AsyncConnection, pool: str) -> None:
    """A statement of its own: the next one's snapshot must be younger than the wait."""
    await connection.execute(_LOCK, {"pool": pool, "seed": LOCK_SEED})


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:pool, :seed))")

_BEGIN = text(
    """
    INSERT INTO pool_lanes (pool, lane, state, turn) VALUES (:pool, :lane, 'awake', :turn)
    ON CONFLICT (pool, lane) DO UPDATE
        SET state = 'awake', turn = EXCLUDED.turn, wakes_at = NULL, changed_at = now()
        WHERE pool_lanes.turn <= EXCLUDED.turn
           OR to_timestamp(pool_lanes.turn / 1e6) > now() + make_interval(secs => :ahead_s)
    """
)

_SEEN = text(
    """
    WITH next (at) AS (
        SELECT not_before FROM jobs WHERE pool = :pool AND status = 'delayed'
        ORDER BY not_before LIMIT 1
    )
    SELECT NOT p.is_paused AND p.max_parallelism > :lane AS is_open,
        EXISTS (SELECT FROM jobs WHERE pool = :pool AND tell_at <= now())
            OR EXISTS (SELECT FROM job_batches WHERE pool = :pool AND tell_at <= now())
            AS is_telling,
        EXISTS (SELECT FROM jobs WHERE pool = :pool AND status = 'queued') AS queued,
        (SELECT extract(epoch FROM at - now())::float8 FROM next
         WHERE NOT EXISTS (SELECT FROM pool_lanes o WHERE o.pool = :pool AND o.lane <> :lane
            AND o.state = 'waiting' AND o.lane < p.max_parallelism AND o.wakes_at <= next.at)
        ) AS wait_s
    FROM pools p WHERE p.pool = :pool
    """
)

_REST = text(
    """
    UPDATE pool_lanes SET state = :state, changed_at = now(),
        wakes_at = now() + make_interval(secs => CAST(:wait_s AS double precision))
    WHERE pool = :pool AND lane = :lane
    """
)

_NEEDED = text(
    """
    WITH next (at) AS (
        SELECT not_before FROM jobs WHERE pool = :pool AND status = 'delayed'
        ORDER BY not_before LIMIT 1
    )
    SELECT p.is_paused, p.max_parallelism, p.namespace,
        (SELECT count(*) FROM (SELECT FROM jobs WHERE pool = :pool AND status = 'queued'
                               LIMIT p.max_parallelism * 2) q) AS queued,
        (SELECT count(*) FROM jobs WHERE pool = :pool AND status = 'running'
            AND lane < p.max_parallelism) AS running,
        (SELECT count(*) FROM pool_lanes l WHERE l.pool = :pool AND l.state = 'awake'
            AND l.lane < p.max_parallelism) AS awake,
        EXISTS (SELECT FROM jobs WHERE pool = :pool AND tell_at <= now())
            OR EXISTS (SELECT FROM job_batches WHERE pool = :pool AND tell_at <= now())
            AS is_telling,
        (SELECT at FROM next) AS delayed_at,
        EXISTS (SELECT FROM pool_lanes l, next WHERE l.pool = :pool AND l.state = 'waiting'
            AND l.lane < p.max_parallelism AND l.wakes_at <= next.at) AS is_awaited
    FROM pools p WHERE p.pool = :pool
    """
)

_SETTLE_DOWN = text("UPDATE pools SET namespace = :namespace WHERE pool = :pool")

_WAKE = text(
    """
    INSERT INTO pool_lanes (pool, lane, state)
    SELECT :pool, n, 'awake' FROM generate_series(0, :lanes - 1) AS n
    LEFT JOIN pool_lanes l ON l.pool = :pool AND l.lane = n
    WHERE l.state IS DISTINCT FROM 'awake'
    ORDER BY (l.state = 'waiting') DESC NULLS LAST, n LIMIT :needed
    ON CONFLICT (pool, lane) DO UPDATE SET state = 'awake', wakes_at = NULL, changed_at = now()
    RETURNING lane
    """
)

_STUCK = text(
    """
    SELECT l.lane FROM pool_lanes l JOIN pools p USING (pool)
    WHERE l.pool = :pool AND l.lane < greatest(p.max_parallelism, 1)
      AND l.changed_at < now() - make_interval(secs => :stuck_s)
      AND (l.state = 'awake'
           AND NOT EXISTS (SELECT FROM jobs j WHERE j.pool = :pool AND j.lane = l.lane
                           AND j.status = 'running')
           OR l.state = 'waiting' AND l.wakes_at < now() - make_interval(secs => :stuck_s))
    ORDER BY l.lane
    """
)

_LONG_RUNNING = text(
    """
    SELECT job_id, fence, pool, lane, split_part(claim, '/', 1) AS run_id
    FROM jobs JOIN pools p USING (pool)
    WHERE p.namespace = :namespace AND status = 'running'
      AND started_at < now() - make_interval(secs => :older_than_s)
    ORDER BY job_id
    """
)
