"""Touches the batches of jobs that workflows wait for."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from durable_agents.db import batch_jobs, batches, jobs
from durable_agents.db.engine import Database
from durable_agents.jobs.documents import add_documents, counts_of, open_documents
from durable_agents.models.jobs import OnComplete
from durable_agents.models.process_documents import (
    MOST_FAILURES,
    BatchCounts,
    BatchFailures,
    DocumentBatchInput,
    DocumentFailure,
)

COMPLETE = "batch_complete"
REASON_CHARS = 300


class BatchActivities:
    """What a workflow does to the batch that it waits for.

    Args:
        database: Where the jobs lie.
        wake: Wakes the lanes that a pool needs for what it has to do.
        stop: Cancels what is left of a batch.
    """

    def __init__(
        self,
        database: Database,
        wake: Callable[[str], Awaitable[int]],
        stop: Callable[[str], Awaitable[int]],
    ) -> None:
        self._database = database
        self._wake = wake
        self._stop = stop

    @activity.defn(name="submit_documents")
    async def submit_documents(self, request: DocumentBatchInput) -> BatchCounts:
        """Put documents into a pool, or take up the batch that they are in; be told of its end.

        A second delivery finds them there.

        Raises:
            NotFoundError: There is no such batch.
        """
        info = activity.info()
        batch = request.batch or f"documents/{info.workflow_run_id}"
        told = OnComplete(workflow_id=info.workflow_id or "", signal=COMPLETE)
        async with self._database.transaction() as connection:
            if request.document_ids:
                await open_documents(connection, batch, request)
                await add_documents(connection, batch, request.document_ids, request)
                await batches.seal(connection, batch)
            await batch_jobs.follow(connection, batch, told)
            pool = (await batches.find_batch(connection, batch)).pool
            counted = await counts_of(connection, batch)
        await self._wake(pool)
        return counted

    @activity.defn(name="look_at_batch")
    async def look_at_batch(self, batch: str) -> BatchCounts:
        """Count the jobs of a batch.

        Raises:
            NotFoundError: There is no such batch.
        """
        async with self._database.statement() as connection:
            return await counts_of(connection, batch)

    @activity.defn(name="stop_batch")
    async def stop_batch(self, batch: str) -> None:
        """Cancel what is left of a batch; what runs is told to stop.

        Raises:
            NotFoundError: There is no such batch.
            ServiceUnavailableError: Temporal does not answer.
        """
        await self._stop(batch)

    @activity.defn(name="read_batch_failures")
    async def read_batch_failures(self, batch: str) -> BatchFailures:
        """The first failures of a batch.

        Raises:
            NotFoundError: There is no such batch.
        """
        async with self._database.statement() as connection:
            pool = (await batches.find_batch(connection, batch)).pool
            rows = await jobs.list_jobs(
                connection, pool, status="failed", batch=batch, limit=MOST_FAILURES
            )
        return BatchFailures(
            failures=tuple(
                DocumentFailure(
                    document_id=row.about,
                    job_id=row.job_id,
                    error_type=row.error_type,
                    reason=row.error[:REASON_CHARS],
                )
                for row in rows
            )
        )
