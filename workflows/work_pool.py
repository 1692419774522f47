"""C2: a lane of a work pool: take a job, run it, take the next, until there is nothing to do."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.pool import PoolActivities
    from durable_agents.models import queues
    from durable_agents.models.jobs import WORKFLOW_KIND, ClaimedJob, JobRun, Telling
    from durable_agents.models.work_pool import (
        CancelJob,
        ClaimInput,
        LaneReport,
        LaneTurn,
        PoolLaneInput,
        PoolLaneResult,
        Told,
    )
    from durable_agents.telemetry.spans import SPANS
    from workflows import policies
    from workflows.flow import Flow, reason_of
    from workflows.job_failures import failure_of
    from workflows.job_workflows import run_job_workflow

TURNS = 100  # of seven events each: far from where histories grow hot
TELLING_TIMEOUT = timedelta(seconds=30)
TELLING_IN_ALL = timedelta(minutes=2)  # then who should have been told is taken to be gone
TOLD_AT_ONCE = 5  # steps of up to 20 completions each; then jobs wait for slow receivers


@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class PoolLaneWorkflow(Flow):
    """One lane of a pool. It runs one job at a time, so N lanes never run more than N.

    It has no deadline: it ends when it finds nothing to do, and each of its jobs has a timeout.
    One lane of a pool waits, with a timer, while only delayed jobs are left. Takes the signals
    `wake` (there is something to do) and `cancel_job` (stop this job, if it is the one that
    runs), and the query `status`. A lane that is cancelled or terminated leaves its job to
    others.
    """

    has_own_trace = True  # it works for others than who woke it, and goes on for days

    def __init__(self) -> None:
        """Begin with nothing to do and nothing to report."""
        super().__init__()
        self._is_woken = False
        self._turn = 0
        self._report = LaneReport()
        self._following: ClaimedJob | None = None
        self._attempt: tuple[int, asyncio.Task[Any]] | None = None
        self._to_stop: set[int] = set()
        self._telling: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, request: PoolLaneInput) -> PoolLaneResult:
        """Take turns until there is nothing to do."""
        return await self._to_deadline(None, self._take_turns(request))

    @workflow.signal(description="There is something to do.")
    def wake(self) -> None:
        """Look for jobs before going to sleep."""
        self._is_woken = True

    @workflow.signal(description="Stop a job, if it is the one that runs here.")
    def cancel_job(self, request: CancelJob) -> None:
        """Stop a job; one that is not known yet is stopped when it turns up."""
        self._to_stop.add(request.job_id)
        if self._attempt is not None and self._attempt[0] == request.job_id:
            self._attempt[1].cancel()

    async def _take_turns(self, request: PoolLaneInput) -> PoolLaneResult:
        self._report, self._turn, jobs = request.report, request.turn, request.jobs
        for number in range(TURNS):
            turn = await self._next_turn(request, number)
            await self._begin_telling(turn.tellings)
            if turn.is_over and await self._is_idle():
                return PoolLaneResult(jobs=jobs)
            if turn.wait_s:
                await self._wait(turn.wait_s)
            may_go_on = number + 1 < TURNS and not workflow.info().is_continue_as_new_suggested()
            if turn.job is not None:
                claim = self._claim_id(number + 1) if may_go_on else ""
                self._report = await self._run(turn.job, request, claim)
                jobs += 1
            if not may_go_on:
                break
        await asyncio.gather(*self._telling)
        following = {"report": self._report, "turn": self._turn, "jobs": jobs}
        return workflow.continue_as_new(request.model_copy(update=following))

    async def _begin_telling(self, tellings: Sequence[Telling]) -> None:
        """Tell of completions beside the jobs, so that a slow receiver delays none."""
        if tellings:
            await workflow.wait_condition(lambda: len(self._telling) < TOLD_AT_ONCE)
            task = asyncio.ensure_future(self._tell(tellings, self._turn))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _is_idle(self) -> bool:
        """Whether nobody wakes the lane until all is told; for the pool it sleeps already."""
        await workflow.wait_condition(lambda: self._is_woken or not self._telling)
        return not self._is_woken

    def _claim_id(self, number: int) -> str:
        """What a claim is known by: the same however often its step is done."""
        return f"{workflow.info().run_id}/{number}"

    async def _next_turn(self, request: PoolLaneInput, number: int) -> LaneTurn:
        """Report what became of the job before, and take the next, unless it came with it."""
        if self._following is not None:
            following, self._following = self._following, None
            return LaneTurn(job=following)
        self._is_woken = False  # from here on a signal means something new
        self._count_turn()
        report, self._report = self._report, LaneReport()
        return await workflow.execute_local_activity_method(
            PoolActivities.claim_job,
            ClaimInput(
                pool=request.pool,
                lane=request.lane,
                claim=self._claim_id(number),
                turn=self._turn,
                is_first=number == 0 and request.turn == 0,
                report=report,
            ),
            activity_id=f"claim-{number}",
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.CLAIM,
            summary="take the next job",
        )

    def _count_turn(self) -> None:
        self._turn = max(self._turn + 1, workflow.time_ns() // 1000)

    async def _wait(self, seconds: float) -> None:
        """Wait until the next delayed job is due, or something else is to be done."""
        with self.step("wait for a delayed job"), contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._is_woken, timeout=seconds)

    async def _run(self, job: ClaimedJob, request: PoolLaneInput, claim: str) -> LaneReport:
        """Run a job; tell what its activity could not store itself."""
        attempt = asyncio.ensure_future(self._try(job, request, claim))
        self._attempt = (job.job_id, attempt)
        if job.job_id in self._to_stop:
            attempt.cancel()
        try:
            with self.step(f"job {job.job_id}", job.about):
                return await attempt
        except (FailureError, TimeoutError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
                raise  # the lane is cancelled; its job is left to others
            return failure_of(job, error, is_stopped=job.job_id in self._to_stop)
        finally:
            self._attempt = None
            self._to_stop.discard(job.job_id)

    async def _try(self, job: ClaimedJob, request: PoolLaneInput, claim: str) -> LaneReport:
        place = {"durable_agents.pool": request.pool, "durable_agents.job": job.job_id}
        with SPANS.span("RunJob", "consumer", place, apart=True, follows=job.traceparent):
            return await self._work(job, request, claim)

    async def _work(self, job: ClaimedJob, request: PoolLaneInput, claim: str) -> LaneReport:
        if job.kind.startswith(WORKFLOW_KIND):
            result = await run_job_workflow(job, request.pool)
            return LaneReport(job_id=job.job_id, fence=job.fence, outcome="done", result=result)
        self._count_turn()
        self._following = await workflow.execute_activity(
            job.kind,
            JobRun(
                job_id=job.job_id,
                fence=job.fence,
                lane=request.lane,
                claim=claim,
                turn=self._turn,
            ),
            result_type=ClaimedJob,
            activity_id=f"job-{job.job_id}-{job.fence}",
            task_queue=queues.POOL,
            start_to_close_timeout=timedelta(seconds=job.timeout_s),
            heartbeat_timeout=policies.JOB_HEARTBEAT_TIMEOUT,
            retry_policy=policies.ONE_ATTEMPT,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=job.about or job.kind,
        )
        return LaneReport()

    async def _tell(self, tellings: Sequence[Telling], turn: int) -> None:
        """Tell who waits for a completion; one who is gone is not told."""
        with self.step("tell of completions"):
            await asyncio.gather(*(self._tell_one(telling, turn) for telling in tellings))
            await workflow.execute_local_activity_method(
                PoolActivities.note_told,
                _told(tellings),
                activity_id=f"told-{turn}",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                retry_policy=policies.CLAIM,
                summary="note who was told",
            )

    async def _tell_one(self, telling: Telling, turn: int) -> None:
        to, completion = telling.to, telling.completion
        name = completion.batch if completion.job_id == 0 else str(completion.job_id)
        try:
            if to.workflow_id:
                handle = workflow.get_external_workflow_handle(to.workflow_id)
                await handle.signal(to.signal, completion)
                return
            await workflow.execute_activity(
                to.activity,
                completion,
                activity_id=f"tell-{name}-{turn}",
                task_queue=to.queue or queues.WORKFLOWS,
                start_to_close_timeout=TELLING_TIMEOUT,
                schedule_to_close_timeout=TELLING_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.SERVICE_CALL,
                summary=f"tell that {name} is finished"[:200],
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("Nobody took the completion of %s: %s", name, reason_of(error))


def _told(tellings: Sequence[Telling]) -> Told:
    completions = [telling.completion for telling in tellings]
    return Told(
        jobs=tuple(completion.job_id for completion in completions if completion.job_id),
        batches=tuple(completion.batch for completion in completions if not completion.job_id),
    )
