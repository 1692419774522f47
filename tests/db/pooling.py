"""What the tests of the work pools' tables share."""

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from durable_agents.db import claims, jobs, lanes, pools, reports
from durable_agents.db.engine import Database
from durable_agents.db.lanes import Sleep
from durable_agents.models.jobs import ClaimedJob, JobRow, JobRun, NewJob
from durable_agents.models.work_pool import ClaimInput, LaneReport

_turns = itertools.count(1)


def pool_name() -> str:
    """A name that no other pool has."""
    return f"test-{secrets.token_hex(6)}"


async def new_pool(database: Database, *, max_parallelism: int = 10) -> str:
    """A pool of the test's own."""
    pool = pool_name()
    async with database.statement() as connection:
        await pools.ensure_pool(connection, pool, max_parallelism=max_parallelism)
    return pool


def job(**values: Any) -> NewJob:
    """A job that does nothing."""
    return NewJob.model_validate({"kind": "noop", "payload": {}, **values})


async def enqueue(
    database: Database, pool: str, new: Sequence[NewJob], batch: str | None = None
) -> list[int]:
    """Put jobs in, in a transaction."""
    async with database.transaction() as connection:
        return await jobs.enqueue(connection, pool, new, batch=batch)


class Lane:
    """A lane of a pool as the tables know it: it claims, and nobody runs anything."""

    def __init__(self, database: Database, pool: str, lane: int = 0) -> None:
        self.database = database
        self.pool = pool
        self.lane = lane
        self.run_id = secrets.token_hex(8)
        self.turn = next(_turns)

    async def begin(self) -> "Lane":
        """Begin a run of the lane."""
        async with self.database.transaction() as connection:
            await lanes.begin(connection, pool=self.pool, lane=self.lane, turn=self.turn)
            claim = f"{self.run_id}/0"
            await reports.put_back(connection, pool=self.pool, lane=self.lane, claim=claim)
        return self

    async def claimed(self, claim: str = "", turn: int = 0) -> claims.Claimed:
        """What a claim gives."""
        self.turn = turn or next(_turns)
        request = ClaimInput(
            pool=self.pool,
            lane=self.lane,
            claim=f"{self.run_id}/{claim or self.turn}",
            turn=self.turn,
        )
        async with self.database.statement() as connection:
            return await claims.claim(connection, request)

    async def claim(self, claim: str = "") -> ClaimedJob:
        """The next job, which there must be."""
        claimed = await self.claimed(claim)
        assert claimed.job is not None
        return claimed.job

    async def finish(self, held: ClaimedJob) -> None:
        """Store that a job is done."""
        async with self.database.statement() as connection:
            await claims.finish(connection, run_of(held), {"by": self.lane})

    async def fail(self, held: ClaimedJob, **values: Any) -> None:
        """Report that a job failed."""
        report = LaneReport.model_validate(
            {"job_id": held.job_id, "fence": held.fence, "outcome": "failed", **values}
        )
        async with self.database.transaction() as connection:
            await reports.settle(connection, report)

    async def drain(self) -> list[int]:
        """Claim and finish jobs until there is none; their ids in order."""
        order: list[int] = []
        while (found := await self.claimed()).job is not None:
            order.append(found.job.job_id)
            await self.finish(found.job)
        return order


async def lanes_of(database: Database, pool: str, count: int) -> list[Lane]:
    """Some lanes of a pool, begun."""
    return list(await asyncio.gather(*(Lane(database, pool, n).begin() for n in range(count))))


def run_of(held: ClaimedJob) -> JobRun:
    """What the activity of a job is given."""
    return JobRun(job_id=held.job_id, fence=held.fence)


async def find(database: Database, job_id: int) -> JobRow:
    """A job's row."""
    async with database.statement() as connection:
        return await jobs.find_job(connection, job_id)


async def make_due(database: Database, pool: str) -> None:
    """Let the time of all delayed jobs of a pool be come."""
    statement = text("UPDATE jobs SET not_before = now() WHERE pool = :pool AND status = 'delayed'")
    async with database.statement() as connection:
        await connection.execute(statement, {"pool": pool})


async def promote(database: Database, pool: str) -> int:
    """Queue what is due."""
    async with database.transaction() as connection:
        return await jobs.promote(connection, pool)


async def wake(database: Database, pool: str, namespace: str = "here") -> list[int]:
    """The lanes that are called awake."""
    async with database.transaction() as connection:
        return list(await lanes.lanes_to_wake(connection, pool, namespace))


async def sleep(database: Database, pool: str, lane: int = 0) -> Sleep:
    """What a lane hears that has nothing to do."""
    async with database.transaction() as connection:
        return await lanes.go_to_sleep(connection, pool=pool, lane=lane)
