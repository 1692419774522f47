"""Touches the tables of the work pools, and wakes their lanes."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.call_site import step_of
from durable_agents.db import batches, claims, jobs, lanes, pools, reports
from durable_agents.db.engine import Database
from durable_agents.models.errors import StaleJobError
from durable_agents.models.jobs import Enqueued, EnqueueInput, NewJob
from durable_agents.models.work_pool import ClaimInput, JobWorkflow, LaneTurn, Told


class PoolActivities:
    """What lanes and other workflows do to pools.

    Args:
        database: Where the jobs lie.
        wake: Wakes the lanes that a pool needs for what it has to do.
        end: Ends the run of a workflow that does not stop when it is told to.
    """

    def __init__(
        self,
        database: Database,
        wake: Callable[[str], Awaitable[int]],
        end: Callable[[JobWorkflow], Awaitable[None]],
    ) -> None:
        self._database = database
        self._wake = wake
        self._end = end

    @activity.defn(name="enqueue_jobs")
    async def enqueue_jobs(self, request: EnqueueInput) -> Enqueued:
        """Put a workflow's jobs into a pool; a second delivery finds them there.

        Raises:
            InputError: A payload is over 256 KiB or is not JSON.
            NotFoundError: There is no such pool, and the request does not say how large it is.
        """
        async with self._database.transaction() as connection:
            if request.max_parallelism is not None:
                await pools.ensure_pool(
                    connection, request.pool, max_parallelism=request.max_parallelism
                )
            await pools.find_pool(connection, request.pool)
            if request.batch is not None:
                await batches.open_batch(
                    connection, request.batch, pool=request.pool, on_complete=request.on_complete
                )
            keyed = _keyed(request.jobs)
            ids = await jobs.enqueue(connection, request.pool, keyed, batch=request.batch)
            if request.batch is not None and request.seal:
                await batches.seal(connection, request.batch)
        await self._wake(request.pool)
        return Enqueued(count=len(ids))

    @activity.defn(name="claim_job")
    async def claim_job(self, request: ClaimInput) -> LaneTurn:
        """Store what became of a lane's job before, and tell it what to do next.

        Raises:
            NotFoundError: There is no such pool.
            StaleJobError: The lane has gone on since; its newer step counts.
        """
        claimed = await self._claim(request)
        if not claimed.is_current:
            raise _overtaken(request)
        if claimed.is_due:
            await self._promote(request.pool, served=0 if claimed.job else 1)
        if claimed.is_telling:
            async with self._database.transaction() as connection:
                tellings = await batches.take_tellings(connection, request.pool)
            return LaneTurn(job=claimed.job, tellings=tuple(tellings))
        if claimed.job is not None or claimed.is_due:
            return LaneTurn(job=claimed.job)
        async with self._database.transaction() as connection:
            rest = await lanes.go_to_sleep(connection, pool=request.pool, lane=request.lane)
        return LaneTurn(wait_s=rest.wait_s, is_over=rest.is_over)

    @activity.defn(name="note_told")
    async def note_told(self, told: Told) -> None:
        """Note which completions were told, so that they are not told again."""
        async with self._database.transaction() as connection:
            await batches.note_told(connection, jobs=told.jobs, batches=told.batches)

    @activity.defn(name="end_job_workflow")
    async def end_job_workflow(self, run: JobWorkflow) -> None:
        """End the workflow of a job, which was told to stop and did not; one that ended is let be.

        Raises:
            ServiceUnavailableError: Temporal does not answer.
        """
        await self._end(run)

    async def _claim(self, request: ClaimInput) -> claims.Claimed:
        """Store what there is to store, then claim a job."""
        report, batch = request.report, None
        if request.is_first or report.outcome:
            async with self._database.transaction() as connection:
                if request.is_first:
                    await self._begin(connection, request)
                if report.outcome:
                    lane_run = request.claim.partition("/")[0]
                    batch = await reports.settle(connection, report, lane_run=lane_run)
        async with self._database.statement() as connection:
            if batch is not None:
                await batches.note_complete(connection, batch)
            return await claims.claim(connection, request)

    async def _begin(self, connection: AsyncConnection, request: ClaimInput) -> None:
        """Note that a run of the lane has begun; queue what runs before it have left."""
        pool, lane = request.pool, request.lane
        await pools.find_pool(connection, pool)
        if not await lanes.begin(connection, pool=pool, lane=lane, turn=request.turn):
            raise _overtaken(request)
        await reports.put_back(connection, pool=pool, lane=lane, claim=request.claim)

    async def _promote(self, pool: str, *, served: int) -> None:
        """Queue what is due, and wake lanes for what this one will not take itself."""
        async with self._database.transaction() as connection:
            promoted = await jobs.promote(connection, pool)
        if promoted > served:
            await self._wake(pool)


def _overtaken(request: ClaimInput) -> StaleJobError:
    return StaleJobError(
        f"Lane {request.lane} of pool {request.pool} has gone on since it asked for "
        f"{request.claim}. There is nothing to do."
    )


def _keyed(new: tuple[NewJob, ...]) -> tuple[NewJob, ...]:
    """The jobs, each with a key; who has none gets one from the run and step that ask."""
    step = step_of()
    return tuple(
        job if job.key else job.model_copy(update={"key": f"{step.run_id}/{step.step}/{place}"})
        for place, job in enumerate(new)
    )
