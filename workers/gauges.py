"""Shows how things stand as gauges: asked by one process, now and then, whoever scrapes."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.db.standing import (
    MOST_POOLS,
    OTHERS,
    PoolStanding,
    Standing,
    Waiting,
    standing,
)
from durable_agents.models.errors import DurableAgentsError

EVERY_S = 15
REST = 20  # times as long as asking took: pools of many millions of jobs are asked less often
MOST_S = 120  # between two turns: what is older than five minutes is alarmed on
COUNT_TIMEOUT = timedelta(seconds=10)
MOST_NAMED = 4 * MOST_POOLS  # by one process in its life: what was shown once is shown for ever
KINDS = ("review", "tool")
COMPENSATING = "Phase = 'compensating' AND ExecutionStatus = 'Running'"
LONG = timedelta(minutes=15)  # where compensations come and go, one that began lately is no news

logger = logging.getLogger(__name__)


async def show_gauges_for_ever(client: Client, database: Database, meter: MetricMeter) -> None:
    """Ask and show, at once and then every 15 seconds; what cannot be asked stays as it was."""
    gauges = Gauges(meter)
    while True:
        began = time.monotonic()
        database_answered = await _show_database(gauges, database)
        if await _show_compensating(gauges, client) and database_answered:
            gauges.show_asked(time.time())
        await asyncio.sleep(pause_after(time.monotonic() - began))


def pause_after(took_s: float) -> float:
    """How long to leave both servers in peace that were asked for so long, in seconds."""
    return min(max(EVERY_S, REST * took_s), MOST_S)


async def _show_database(gauges: "Gauges", database: Database) -> bool:
    """Show what the database knows; whether all of it could be asked."""
    try:
        await database.ping()
    except (DurableAgentsError, SQLAlchemyError) as error:
        gauges.show_database(up=False)
        logger.warning("The database could not be asked how things stand: %s", error)
        return False
    gauges.show_database(up=True)
    try:
        gauges.show(await standing(database))
    except (DurableAgentsError, SQLAlchemyError) as error:  # it is up, and takes too long
        logger.warning("How things stand could not be asked: %s", error)
        return False
    return True


async def _show_compensating(gauges: "Gauges", client: Client) -> bool:
    """Show how many runs compensate; whether that could be asked."""
    since = (datetime.now(UTC) - LONG).isoformat(timespec="seconds")
    queries = COMPENSATING, f"{COMPENSATING} AND StartTime < '{since}'"
    try:
        every, long = [
            (await client.count_workflows(query, rpc_timeout=COUNT_TIMEOUT)).count
            for query in queries
        ]
    except RPCError as error:
        logger.warning("How many runs compensate could not be asked: %s", error)
        return False
    gauges.show_compensating(every, long)
    return True


class Gauges:
    """The gauges of what is in the database and on the server."""

    def __init__(self, meter: MetricMeter) -> None:
        gauge, timed = meter.create_gauge, meter.create_gauge_float
        self._up = gauge("durable_agents_database_up", "1 when the database answered, else 0.")
        self._approvals = gauge("durable_agents_approvals_waiting", "Requests that wait.")
        self._oldest_approval = timed(
            "durable_agents_approvals_oldest_seconds", "How long the oldest has waited."
        )
        self._jobs = gauge("durable_agents_pool_jobs", "Jobs that are not finished.")
        self._oldest_job = timed(
            "durable_agents_pool_oldest_queued_seconds", "How long the oldest job is queued."
        )
        self._parallel = gauge(
            "durable_agents_pool_max_parallelism", "How many jobs may run at once."
        )
        self._compensating = gauge("durable_agents_runs_compensating", "Runs that undo.")
        self._compensating_long = gauge(
            "durable_agents_runs_compensating_long", "Those that began over 15 minutes ago."
        )
        self._refunds = gauge("durable_agents_refunds_open", "Refunds that are not settled.")
        self._oldest_refund = timed(
            "durable_agents_refunds_oldest_seconds", "How long the oldest is not settled."
        )
        self._uncertain = gauge(
            "durable_agents_notifications_uncertain", "Notifications that were sent or not."
        )
        self._asked = timed(
            "durable_agents_gauges_asked_timestamp_seconds", "When all this was asked last."
        )
        self._pools: set[str] = set()
        self._named: set[str] = set()

    def show(self, now: Standing) -> None:
        """Show how things stand; a pool that is gone has no jobs."""
        for kind in KINDS:
            waiting = now.approvals.get(kind, Waiting())
            self._approvals.set(waiting.count, {"kind": kind})
            self._oldest_approval.set(waiting.oldest_s, {"kind": kind})
        pools = self._as_named(now.pools)
        there = {pool.pool for pool in pools}
        gone = tuple(PoolStanding(name, 0, 0, 0, 0.0, 0) for name in self._pools - there)
        for pool in (*pools, *gone):
            self._show_pool(pool)
        self._pools = there
        self._refunds.set(now.refunds.count)
        self._oldest_refund.set(now.refunds.oldest_s)
        self._uncertain.set(now.notifications_uncertain)

    def _as_named(self, pools: Sequence[PoolStanding]) -> tuple[PoolStanding, ...]:
        """The pools by their names; those that come when enough are named are among the others."""
        room = MOST_NAMED - len(self._named)
        new = [one.pool for one in pools if one.pool not in {OTHERS, *self._named}]
        self._named.update(new[: max(room, 0)])
        others = [one for one in pools if one.pool not in self._named]
        named = [one for one in pools if one.pool in self._named]
        return (*named, _together(others)) if others else tuple(named)

    def _show_pool(self, pool: PoolStanding) -> None:
        of_pool = {"pool": pool.pool}
        counts = {"queued": pool.queued, "delayed": pool.delayed, "running": pool.running}
        for status, count in counts.items():
            self._jobs.set(count, {**of_pool, "status": status})
        self._oldest_job.set(pool.oldest_s, of_pool)
        self._parallel.set(pool.parallel, of_pool)

    def show_compensating(self, runs: int, long: int) -> None:
        """Show how many runs undo what they did, and how many of them began long ago."""
        self._compensating.set(runs)
        self._compensating_long.set(long)

    def show_database(self, *, up: bool) -> None:
        """Show whether the database answers."""
        self._up.set(int(up))

    def show_asked(self, at: float) -> None:
        """Show when all that is shown was asked, in seconds since 1970."""
        self._asked.set(at)


def _together(pools: Sequence[PoolStanding]) -> PoolStanding:
    """Several pools as one."""
    return PoolStanding(
        OTHERS,
        queued=sum(one.queued for one in pools),
        delayed=sum(one.delayed for one in pools),
        running=sum(one.running for one in pools),
        oldest_s=max(one.oldest_s for one in pools),
        parallel=sum(one.parallel for one in pools),
    )
