"""F13: two steps with a log line before, between and after them, to see how a run is logged."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.arithmetic import ArithmeticActivities
    from durable_agents.models.debug import DebugInput, DebugResult, Total
    from workflows import policies
    from workflows.flow import Flow

STEP_1, PAUSE, STEP_2 = "step-1", "pause", "step-2"


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class DebugWorkflow(Flow):
    """Add values up (step 1), then find their mean (step 2).

    Takes the query `status`. Ends with both; fails when the values add up to more than a number
    can hold, or at its deadline. Its log lines name workflow, run and step, and are written
    once, however often the run is replayed.
    """

    @workflow.run
    async def run(self, request: DebugInput) -> DebugResult:
        """Take both steps, and log in between."""
        return await self._to_deadline(request.deadline_s, self._work(request))

    async def _work(self, request: DebugInput) -> DebugResult:
        workflow.logger.info("Before step 1", extra={"step": STEP_1})
        total = await self._add_up(request.values)
        workflow.logger.info("Step 1 is done, step 2 comes", extra={"step": STEP_2})
        if request.pause_s:
            with self.step(PAUSE, f"{request.pause_s:g} s"):
                await workflow.sleep(timedelta(seconds=request.pause_s), summary="pause")
        result = await self._find_mean(total)
        workflow.logger.info("After step 2", extra={"step": STEP_2})
        return result

    async def _add_up(self, values: tuple[float, ...]) -> Total:
        with self.step(STEP_1, "add up"):
            return await workflow.execute_activity_method(
                ArithmeticActivities.add_up,
                list(values),
                activity_id=STEP_1,
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.SERVICE_CALL,
                summary=f"add up {len(values)} values",
            )

    async def _find_mean(self, total: Total) -> DebugResult:
        with self.step(STEP_2, "find the mean"):
            return await workflow.execute_activity_method(
                ArithmeticActivities.find_mean,
                total,
                activity_id=STEP_2,
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.SERVICE_CALL,
                summary="find the mean",
            )
