"""Runs the jobs of the work pools: one activity for each kind, named for it.

The payload is read from the job's row, and the result stored there: neither passes through
history. What the job touches is its kind's affair (`durable_agents/jobs/kinds/`).
"""

from collections.abc import Awaitable, Callable, Mapping

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from durable_agents.db import batches, claims
from durable_agents.jobs.kind import JobContext, JobKind, JobServices
from durable_agents.jobs.kinds import JOB_KINDS
from durable_agents.models.errors import InputError
from durable_agents.models.jobs import ClaimedJob, JobRun
from durable_agents.models.work_pool import ClaimInput

JobActivity = Callable[[JobRun], Awaitable[ClaimedJob | None]]


class JobActivities:
    """The jobs' activities.

    Args:
        services: What jobs may use.
        kinds: The kinds by name.
    """

    def __init__(self, services: JobServices, kinds: Mapping[str, JobKind] = JOB_KINDS) -> None:
        self._services = services
        self._kinds = kinds

    def activities(self) -> list[JobActivity]:
        """One activity for each kind."""
        return [self._activity(kind) for kind in self._kinds.values()]

    def _activity(self, kind: JobKind) -> JobActivity:
        @activity.defn(name=kind.name)
        async def run_job(run: JobRun) -> ClaimedJob | None:
            return await self._run(kind, run)

        return run_job

    async def _run(self, kind: JobKind, run: JobRun) -> ClaimedJob | None:
        """Run a job, store its result unless the job has done so, and claim the lane's next.

        Returns:
            The next job; None leaves it to the lane to ask.

        Raises:
            InputError: The payload does not fit the kind.
            StaleJobError: The job was handed to another, was cancelled, or is finished.
        """
        database = self._services.database
        async with database.statement() as connection:
            lane_run = activity.info().workflow_run_id or ""
            held = await claims.load(connection, run, lane_run=lane_run)
        run = run.model_copy(update={"fence": held.fence})
        context = JobContext(
            self._services,
            run,
            pool=held.pool,
            tenant=held.tenant,
            batch=held.batch,
            failures=held.failures,
        )
        try:
            payload = kind.payload.model_validate(held.payload)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "it"
            raise InputError(
                f"The payload of job {run.job_id} does not fit its kind {kind.name}: "
                f"{where}: {first['msg']}. Enqueue it again with one that does."
            ) from error
        result = await kind.run(payload, context)
        async with database.statement() as connection:
            if not context.is_finished:
                await claims.finish(connection, run, result)
            if held.batch is not None:
                await batches.note_complete(connection, held.batch)
            return await _next_job(connection, run, held.pool)


async def _next_job(connection: AsyncConnection, run: JobRun, pool: str) -> ClaimedJob | None:
    """Claim the lane's next job, if that is all there is for the lane to do.

    When this answer is lost, or not given, the lane asks with the same claim and gets the same.
    """
    if not run.claim:
        return None
    request = ClaimInput(pool=pool, lane=run.lane, claim=run.claim, turn=run.turn)
    claimed = await claims.claim(connection, request)
    return None if claimed.is_due or claimed.is_telling else claimed.job
