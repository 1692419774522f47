"""F3: have any number of documents analysed by a work pool, so many at once and no more."""

import asyncio
import contextlib

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.batches import BatchActivities
    from activities.shielding import to_its_end
    from durable_agents.models.jobs import Completion
    from durable_agents.models.process_documents import (
        BatchCounts,
        BatchEnd,
        BatchResume,
        DocumentBatchInput,
        DocumentBatchResult,
        DocumentFailure,
    )
    from durable_agents.models.status import Progress
    from workflows import policies
    from workflows.flow import Flow

SHORTEST_LOOK_S, LONGEST_LOOK_S = 1.0, 60.0
SHARE = 20  # of the time that has passed: 14 looks while it doubles, few however long it takes
STOPPING_LOOKS = 30  # a second apart: what was told to stop has that long


@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class DocumentBatchWorkflow(Flow):
    """Wait until a pool has analysed all documents of a batch, and tell what became of them.

    Takes the query `status`, whose `progress` counts documents, and the signal `batch_complete`,
    by which the pool says that nothing is left; should that be lost, a look at the tables now and
    then notices. Ends with the counts and the first failures. At its deadline what is left is
    cancelled, and the result says so; a run that is cancelled cancels the rest as well. Fails
    when the batch is unknown. The history is as small for 100,000 documents as for ten; a run
    that waits very long continues as new.
    """

    def __init__(self) -> None:
        """Begin without documents."""
        super().__init__()
        self._is_told = False
        self._looks = 0
        self._counts = BatchCounts(batch="")

    @workflow.run
    async def run(self, request: DocumentBatchInput) -> DocumentBatchResult:
        """Put the documents in, wait for all of them, collect the failures."""
        return await self._to_deadline(None, self._process(request))

    @workflow.signal(description="All jobs of the batch are finished.")
    def batch_complete(self, completion: Completion) -> None:
        """Look at the batch now."""
        self._is_told = True

    async def _process(self, request: DocumentBatchInput) -> DocumentBatchResult:
        resume = request.resume or BatchResume(
            started_at=workflow.time(), deadline_at=workflow.time() + request.deadline_s
        )
        self.take_up(self._usage, resume.steps_done)
        limit = asyncio.timeout(resume.deadline_at - workflow.time())
        try:
            async with limit:
                # A cancel waits until they are in: then they can be cancelled.
                await to_its_end(self._submit(request))
                await self._wait_for_all(request, resume)
        except (Exception, asyncio.CancelledError) as error:
            stopped = limit.expired() or is_cancelled_exception(error)
            if not stopped or not self._counts.batch:
                raise
            await to_its_end(self._stop(self._counts.batch))
            if not limit.expired():
                raise
        return await self._result(request, "deadline" if limit.expired() else "")

    async def _submit(self, request: DocumentBatchInput) -> None:
        with self.step("put documents into the pool", request.pool):
            counted = await workflow.execute_activity_method(
                BatchActivities.submit_documents,
                request,
                activity_id="submit-documents",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"put documents into the pool {request.pool}",
            )
        self._show(counted)

    async def _wait_for_all(self, request: DocumentBatchInput, resume: BatchResume) -> None:
        with self.step("process documents"):
            while not self._counts.is_complete:
                passed = workflow.time() - resume.started_at
                pause = min(max(passed / SHARE, SHORTEST_LOOK_S), LONGEST_LOOK_S)
                with contextlib.suppress(TimeoutError):
                    await workflow.wait_condition(lambda: self._is_told, timeout=pause)
                self._is_told = False
                await self._look(self._counts.batch)
                if workflow.info().is_continue_as_new_suggested():
                    self._continue_as_new(request, resume, self._counts.batch)

    def _continue_as_new(
        self, request: DocumentBatchInput, resume: BatchResume, batch: str
    ) -> None:
        """Go on in a new run with an empty history; the batch is in the pool."""
        following = {
            "document_ids": (),
            "batch": batch,
            "resume": resume.model_copy(update={"steps_done": self._steps_done}),
        }
        workflow.continue_as_new(request.model_copy(update=following))

    async def _look(self, batch: str) -> None:
        """Count what is left."""
        self._looks += 1
        counted = await workflow.execute_local_activity_method(
            BatchActivities.look_at_batch,
            batch,
            activity_id=f"look-{self._looks}",
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.CLAIM,
            summary="count what is left",
        )
        self._show(counted)

    def _show(self, counted: BatchCounts) -> None:
        """Show in the status how far it is."""
        self._counts = counted
        self._progress = Progress(
            done=counted.done,
            failed=counted.failed,
            cancelled=counted.cancelled,
            left=counted.left,
        )

    async def _stop(self, batch: str) -> None:
        """Cancel what is left, and wait for what runs to stop, but not for ever."""
        with self.step("stop what is left"):
            await workflow.execute_activity_method(
                BatchActivities.stop_batch,
                batch,
                activity_id="stop-batch",
                start_to_close_timeout=policies.SERVICE_CALL_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="cancel what is left",
            )
            for _ in range(STOPPING_LOOKS):
                await self._look(batch)
                if self._counts.is_complete:
                    return
                await asyncio.sleep(1)

    async def _result(self, request: DocumentBatchInput, stopped: BatchEnd) -> DocumentBatchResult:
        counted = self._counts
        return DocumentBatchResult(
            batch=counted.batch,
            pool=request.pool,
            total=counted.total,
            done=counted.done,
            failed=counted.failed,
            cancelled=counted.cancelled,
            left=counted.left,
            failures=await self._failures(counted) if counted.failed else (),
            stopped=stopped,
        )

    async def _failures(self, counted: BatchCounts) -> tuple[DocumentFailure, ...]:
        with self.step("collect failures"):
            found = await workflow.execute_activity_method(
                BatchActivities.read_batch_failures,
                counted.batch,
                activity_id="read-failures",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"read why {counted.failed} documents failed",
            )
        return found.failures
