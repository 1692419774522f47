"""A drill: three workers, one of which is killed and one frozen and woken, and many jobs.

Every job is done, the effect of each is there once, never are more attempts open than the pool
allows, and the worker that wakes late is refused. DRILL_JOBS says how many jobs there are; what
was seen is printed (`pytest -s`).
"""

import asyncio
import os
import secrets
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, folder_for_commands, make_namespace
from tests.db.pooling import new_pool
from tests.drills.counting_worker import BEGUN, COUNTED, DONE, REFUSED, TABLE, CountPayload
from tests.workflows.runs import until

JOBS = int(os.environ.get("DRILL_JOBS", "1000"))
LANES = 30
HELD = 2  # jobs that a frozen worker must hold: one may be just at the database
IN_FLIGHT_S = 0.2  # what the database was asked for before a worker froze, it does
# Ten seconds until its heartbeats are missed, and five for each of the tasks that the server gives
# to the five polls which the worker has open while it is frozen; twice that on a busy machine.
HANDED_ON_S = 90
LONGEST_S = 60  # of looks; on a machine that has much else to do they take longer
LOOK_EVERY_S = 0.1  # looking costs as much as a job
CLOSED = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)


@dataclass(frozen=True)
class Drill:
    """A namespace and a pool of their own, and what is marked in the database."""

    command: Commands
    client: Client
    database: Database
    pool: str

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[Process]:
        """A worker process, which may not poll yet."""
        argv = [sys.executable, "-m", "tests.drills.counting_worker", "--roles", "workflows,pool"]
        process = await self.command.start(argv, stdin=PIPE)
        assert process.stderr is not None
        told = asyncio.ensure_future(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await told

    async def until_ready(self, process: Process) -> None:
        """Wait until a worker polls."""
        assert process.stdout is not None
        async with asyncio.timeout(90):
            assert await process.stdout.readline() == b"ready\n"

    async def rows(self, query: str, **values: Any) -> Sequence[Any]:
        """What a query finds."""
        async with self.database.statement() as connection:
            return (await connection.execute(text(query), {"pool": self.pool, **values})).all()

    async def count(self, status: str) -> int:
        """How many jobs have a status."""
        query = "SELECT count(*) FROM jobs WHERE pool = :pool AND status = :status"
        return int((await self.rows(query, status=status))[0][0])

    async def until_done(self, count: int) -> None:
        """Wait until so many jobs are done."""

        async def there() -> bool:
            await asyncio.sleep(LOOK_EVERY_S)
            return await self.count("done") >= count

        await until(there, f"{count} jobs are done", within=LONGEST_S)

    async def held_by(self, pid: int) -> dict[int, int]:
        """The jobs that a worker has begun and not finished, with their fences."""
        query = f"""
            SELECT j.job_id, j.fence FROM jobs j JOIN {TABLE} m USING (job_id, fence)
            WHERE j.pool = :pool AND j.status = 'running' AND m.pid = :pid AND m.mark = :mark
        """  # noqa: S608 - a constant
        return {row[0]: row[1] for row in await self.rows(query, pid=pid, mark=BEGUN)}

    async def freeze(self, process: Process) -> dict[int, int]:
        """Stop a worker when it is in the middle of jobs; gives them with their fences."""
        for _ in range(200):
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(IN_FLIGHT_S)
            held = await self.held_by(process.pid)
            if len(held) >= HELD:
                return held
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.02)
        raise AssertionError("the worker never held jobs")

    async def until_handed_on(self, held: dict[int, int]) -> int:
        """Wait until others have all the jobs that a worker held.

        But for those whose last statement was with the database already: they are done.

        Returns:
            How many others have.
        """
        query = "SELECT job_id, fence, status FROM jobs WHERE job_id = ANY(:ids)"
        left: list[Any] = []

        async def there() -> bool:
            rows = await self.rows(query, ids=list(held))
            left[:] = [row for row in rows if row[1] == held[row[0]] and row[2] != "done"]
            return not left

        try:
            await until(there, "others have the frozen worker's jobs", within=HANDED_ON_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; it still has {left}") from None
        rows = await self.rows(query, ids=list(held))
        return sum(row[1] > held[row[0]] for row in rows)

    async def marked(self, mark: str, pid: int) -> int:
        """How often a worker left a mark."""
        query = f"SELECT count(*) FROM {TABLE} WHERE mark = :mark AND pid = :pid"  # noqa: S608
        return int((await self.rows(query, mark=mark, pid=pid))[0][0])

    async def attempts(self) -> list[tuple[datetime, int]]:
        """When attempts were opened (1) and closed (-1), by the histories of the lanes."""
        edges: list[tuple[datetime, int]] = []
        lanes_ = self.client.list_workflows("WorkflowType = 'PoolLaneWorkflow'")
        # A run that ends while it is listed is listed twice.
        found = {(run.id, run.run_id) async for run in lanes_}
        for workflow_id, run_id in found:
            if not workflow_id.startswith(f"pool/{self.pool}/"):
                continue  # of a pool that another test left, and that a worker took up
            handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
            async for event in handle.fetch_history_events():
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    edges.append((event.event_time.ToDatetime(), 1))
                elif event.event_type in CLOSED:
                    edges.append((event.event_time.ToDatetime(), -1))
        return sorted(edges)


@pytest.fixture
async def drill(client: Client, settings: Settings, database: Database) -> AsyncIterator[Drill]:
    name = f"pool-{secrets.token_hex(4)}"
    await make_namespace(client, name)
    there = await connect(settings.model_copy(update={"temporal_namespace": name}))
    columns = "job_id bigint, fence integer, pid integer, mark text"
    async with database.statement() as connection:
        await connection.execute(text(f"CREATE TABLE {TABLE} ({columns})"))
    try:
        with folder_for_commands() as folder:
            command = Commands(settings, Path(folder), TEMPORAL_NAMESPACE=name)
            yield Drill(command, there, database, await new_pool(database, max_parallelism=LANES))
    finally:
        async with database.statement() as connection:
            await connection.execute(text(f"DROP TABLE {TABLE}"))


async def test_every_job_is_done_once_whatever_becomes_of_workers(drill: Drill) -> None:
    new = [COUNTED.new(CountPayload()) for _ in range(JOBS)]

    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(drill.worker()) for _ in range(3)]
        await asyncio.gather(*(drill.until_ready(one) for one in workers))
        killed, frozen, _ = workers
        began = time.monotonic()
        await lanes.submit(drill.client, drill.database, drill.pool, new)
        await drill.until_done(JOBS // 20)
        killed.kill()
        await drill.until_done(JOBS // 10)
        held = await drill.freeze(frozen)
        handed_on = await drill.until_handed_on(held)
        done_when_woken = await drill.count("done")
        frozen.send_signal(signal.SIGCONT)

        async def refused() -> bool:
            return await drill.marked(REFUSED, frozen.pid) > 0

        await until(refused, "the late writer is refused", within=30)
        await drill.until_done(JOBS)
        took = time.monotonic() - began

    effects = await drill.rows(
        f"SELECT job_id, count(*) FROM {TABLE} WHERE mark = :mark GROUP BY job_id",  # noqa: S608
        mark=DONE,
    )
    edges = await drill.attempts()
    most = most_at_once(edges)
    opened = sum(step for _, step in edges if step > 0)
    print(
        f"{JOBS} jobs in {took:.1f} s, {opened} attempts, {most} at once at most; the frozen "
        f"worker held {len(held)} and woke when {done_when_woken} were done; "
        f"{await drill.marked(REFUSED, frozen.pid)} of its writes were refused"
    )
    assert await drill.count("done") == JOBS
    assert (len(effects), {row[1] for row in effects}) == (JOBS, {1})
    assert opened >= JOBS + handed_on > JOBS
    assert LANES // 2 < most <= LANES


def most_at_once(edges: Sequence[tuple[datetime, int]]) -> int:
    """The highest number that was open at any time."""
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most
