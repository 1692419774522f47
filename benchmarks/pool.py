"""What a job of a work pool costs beside a plain activity, and whether the cap holds.

    python -m benchmarks.pool [--jobs 10000] [--lanes 100] [--pairs 5]

No-op jobs go through a pool, and as many no-op activities through plain Temporal on the same
server: one workflow for each lane, each running its share one after the other on another task
queue, as the pool's lanes do. They take turns (A B A B …), each in a worker process of its own.
CPU seconds are those of the worker and of the Temporal server, taken from the kernel; PostgreSQL,
which plain Temporal does not have, is shown apart. The highest number of attempts that were open
at once is counted from the lanes' histories.
"""

import argparse
import asyncio
import secrets
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.bench import (
    Bench,
    Clock,
    WorkerProcess,
    bench,
    cpu_of_tree,
    our_worker,
    pid_named,
    spread,
    worker_process,
)
from benchmarks.plain import QUEUE, PlainLaneWorkflow
from durable_agents.db import pools
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.kinds.noop import NOOP, NoopPayload

UNFINISHED = text(
    "SELECT FROM jobs WHERE pool = :pool AND status IN ('queued', 'delayed', 'running') LIMIT 1"
)
CLOSED = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)
SETTLE_S = 0.5  # the server writes visibility and timers after the answer
FEW = 10  # the short queue is so many times shorter
ENV = {"DATABASE_POOL_SIZE": "20"}


@dataclass(frozen=True)
class Sample:
    """CPU milliseconds of one job: worker, Temporal server, PostgreSQL; jobs a second."""

    worker_ms: float
    temporal_ms: float
    database_ms: float
    per_second: float

    @property
    def both_ms(self) -> float:
        """Worker and Temporal server."""
        return self.worker_ms + self.temporal_ms


async def main(count: int, lane_count: int, pairs: int) -> None:
    """Measure and print."""
    async with bench() as parts:
        database = Database(parts.settings.database_url.get_secret_value())
        try:
            await _compare(parts, database, count, lane_count, pairs)
        finally:
            await database.close()


async def _compare(
    parts: Bench, database: Database, count: int, lane_count: int, pairs: int
) -> None:
    client, few = parts.client, count // FEW

    async def plain(number: int) -> str:
        await _plain(client, lane_count, number)
        return ""

    async def pooled(number: int) -> str:
        return await _pooled(client, database, lane_count, number)

    argv = ["-m", "benchmarks.plain", parts.settings.temporal_address]
    async with (
        our_worker(parts, ENV) as ours,
        worker_process(argv, {}, ready=False) as theirs,
    ):
        await _sample(parts, theirs, plain, few)  # to warm up
        await _sample(parts, ours, pooled, few)
        rows: list[tuple[Sample, Sample]] = []
        for _ in range(pairs):
            a, _ = await _sample(parts, theirs, plain, few)
            b, _ = await _sample(parts, ours, pooled, few)
            rows.append((a, b))
        large_plain, _ = await _sample(parts, theirs, plain, count)
        large, pool = await _sample(parts, ours, pooled, count)
        _print(f"{few:,} jobs", [row[0] for row in rows], [row[1] for row in rows])
        _print(f"{count:,} jobs", [large_plain], [large])
        small = statistics.median(row[1].both_ms for row in rows)
        print(f"a job of {count:,} against one of {few:,}: {large.both_ms / small:.2f}")
        await _print_cap(client, pool, lane_count)


async def _sample(
    parts: Bench, worker: WorkerProcess, work: Callable[[int], Awaitable[str]], number: int
) -> tuple[Sample, str]:
    """Do the work once and take what it cost; its pool, if it has one."""
    others = [pid_named(parts, name) for name in ("temporal", "postgres")]
    before = [worker.cpu(), *map(cpu_of_tree, others)]
    clock = Clock()
    pool = await work(number)
    wall = clock.seconds()
    await asyncio.sleep(SETTLE_S)
    after = [worker.cpu(), *map(cpu_of_tree, others)]
    spent = [(b - a) * 1000 / number for a, b in zip(before, after, strict=True)]
    return Sample(spent[0], spent[1], spent[2], number / wall), pool


async def _pooled(client: Client, database: Database, lane_count: int, number: int) -> str:
    """Put jobs into a pool of their own and wait until all are done."""
    pool = f"bench-{secrets.token_hex(4)}"
    async with database.transaction() as connection:
        await pools.ensure_pool(connection, pool, max_parallelism=lane_count)
    await lanes.submit(client, database, pool, [NOOP.new(NoopPayload()) for _ in range(number)])
    async with database.statement() as connection:
        unfinished = {"pool": pool}
        while (await connection.execute(UNFINISHED, unfinished)).first() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        done = (await pools.status(connection, pool)).counts
    assert done == {"done": number}, done
    return pool


async def _plain(client: Client, lane_count: int, number: int) -> None:
    runs = (
        client.execute_workflow(
            PlainLaneWorkflow.run,
            number // lane_count,
            id=f"plain-{secrets.token_hex(6)}",
            task_queue=QUEUE,
        )
        for _ in range(lane_count)
    )
    await asyncio.gather(*runs)


def _print(name: str, plain: Sequence[Sample], pooled: Sequence[Sample]) -> None:
    print(f"CPU milliseconds of one, {name}")
    for told, samples in (("plain activity", plain), ("job of a pool", pooled)):
        print(
            f"  {told}: worker {spread([s.worker_ms for s in samples])}, "
            f"server {spread([s.temporal_ms for s in samples])}, "
            f"PostgreSQL {spread([s.database_ms for s in samples])}; "
            f"{statistics.median(s.per_second for s in samples):.0f} a second"
        )
    ratios = [b.both_ms / a.both_ms for a, b in zip(plain, pooled, strict=True)]
    print(f"  ratio, worker and server: {spread(ratios)}")


async def _print_cap(client: Client, pool: str, lane_count: int) -> None:
    """The highest number of attempts that were ever open, and the longest history."""
    edges: list[tuple[datetime, int]] = []
    longest, largest, runs = 0, 0, 0
    query = f"WorkflowType = 'PoolLaneWorkflow' AND WorkflowId STARTS_WITH 'pool/{pool}/'"
    async for seen in client.list_workflows(query):
        history = await client.get_workflow_handle(seen.id, run_id=seen.run_id).fetch_history()
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                edges.append((event.event_time.ToDatetime(), 1))
            elif event.event_type in CLOSED:
                edges.append((event.event_time.ToDatetime(), -1))
        runs += 1
        longest = max(longest, len(history.events))
        largest = max(largest, sum(event.ByteSize() for event in history.events))
    now = most = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    print(f"attempts: {len(edges) // 2}, open at once {most} at most, of {lane_count} allowed")
    print(f"histories: {runs} runs, the longest {longest} events, the largest {largest:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    asyncio.run(main(given.jobs, given.lanes, given.pairs))
