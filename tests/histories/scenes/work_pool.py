"""Runs of `PoolLaneWorkflow` to record."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from durable_agents.db import jobs, pools
from durable_agents.db.engine import Database
from durable_agents.models.jobs import NewJob, OnComplete
from durable_agents.models.work_pool import CancelJob, PoolLaneInput
from tests.histories.scene import Handle, Scene, cancel_in
from tests.workflows.runs import until_step


def pooling(
    pool: str, first_id: int, *new: dict[str, Any]
) -> Callable[[Database], Awaitable[None]]:
    """Put jobs into a pool of their own; their ids are the same whenever this is recorded."""

    async def prepare(database: Database) -> None:
        number = text("SELECT setval(pg_get_serial_sequence('jobs', 'job_id'), :id, false)")
        given = [NewJob.model_validate({"kind": "noop", **values}) for values in new]
        async with database.transaction() as connection:
            await connection.execute(number, {"id": first_id})
            await pools.ensure_pool(connection, pool, max_parallelism=1)
            await jobs.enqueue(connection, pool, given)

    return prepare


def stop_jobs(*job_ids: int) -> Callable[[Handle], Awaitable[None]]:
    """Stop one job after the other while it runs."""

    async def meddle(handle: Handle) -> None:
        for job_id in job_ids:
            await until_step(handle, f"job {job_id}")
            await handle.signal("cancel_job", CancelJob(job_id=job_id))

    return meddle


class RemovedPool:
    """A pool that is taken away by hand while a job runs."""

    def __init__(self, pool: str, job_id: int) -> None:
        self._pool, self._job_id = pool, job_id
        self._database: Database | None = None

    async def prepare(self, database: Database) -> None:
        """Put the job in."""
        self._database = database
        await pooling(self._pool, self._job_id, {"payload": {"seconds": 1}})(database)

    async def remove(self, handle: Handle) -> None:
        """Take the pool away."""
        await until_step(handle, f"job {self._job_id}")
        assert self._database is not None
        async with self._database.statement() as connection:
            values = {"pool": self._pool}
            await connection.execute(text("DELETE FROM pools WHERE pool = :pool"), values)


IN_A_SECOND = {"initial_s": 1, "max_s": 1}
REMOVED = RemovedPool("history-f", 1500)
GONE = OnComplete(workflow_id="nobody-has-this-id", signal="told")
SCENES = (
    Scene(
        "work_pool.idle",
        PoolLaneInput(pool="history-a", lane=0),
        prepare=pooling(
            "history-a",
            1000,
            {"about": "the first"},
            {"payload": {"is_final": True}, "on_complete": GONE},
            {"kind": "workflow:DebugWorkflow", "payload": {"values": [1]}},
        ),
    ),
    Scene(
        "work_pool.pool_removed",
        PoolLaneInput(pool="history-f", lane=0),
        prepare=REMOVED.prepare,
        meddle=REMOVED.remove,
    ),
    Scene(
        "work_pool.waited",
        PoolLaneInput(pool="history-b", lane=0),
        prepare=pooling("history-b", 1100, {"payload": {"failures": 1}, "retry": IN_A_SECOND}),
    ),
    Scene(
        "work_pool.job_cancelled",
        PoolLaneInput(pool="history-c", lane=0),
        prepare=pooling(
            "history-c",
            1200,
            {"payload": {"seconds": 60}},
            {"kind": "workflow:DebugWorkflow", "payload": {"values": [1], "pause_s": 60}},
        ),
        meddle=stop_jobs(1200, 1201),
    ),
    Scene(
        "work_pool.workflow_ended",
        PoolLaneInput(pool="history-g", lane=0),
        prepare=pooling(
            "history-g",
            1600,
            {"kind": "workflow:NoSuchWorkflow", "timeout_s": 4},
            {"about": "after"},
        ),
        meddle=stop_jobs(1600),
    ),
    Scene(
        "work_pool.cancelled",
        PoolLaneInput(pool="history-d", lane=0),
        prepare=pooling("history-d", 1300, {"payload": {"seconds": 60}}),
        meddle=cancel_in("job 1300"),
    ),
    Scene(
        "work_pool.continued_as_new",
        PoolLaneInput(pool="history-e", lane=0),
        prepare=pooling("history-e", 1400, *({"payload": {"is_final": True}} for _ in range(9))),
        last="work_pool.resumed",
    ),
)
