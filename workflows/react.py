"""F9: an agent that reasons and acts: think, act, observe, until it answers."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.records import RecordActivities
    from durable_agents.models.conversation import LoggedError
    from durable_agents.models.errors import BudgetExceededError
    from durable_agents.models.react import ReActInput, ReActResult, StopReason
    from durable_agents.models.status import Usage
    from workflows import policies
    from workflows.agent_loop import AgentLoop
    from workflows.approval import ApprovalFlow
    from workflows.budgets import budget_of
    from workflows.tool_approval import ToolApproval

OUT_OF_ROUNDS = "Max iterations reached without completion"


@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class ReActWorkflow(ApprovalFlow):
    """Let an agent work on a task with its tools; people decide on the calls that need them.

    Takes the signal `decide`, the update `submit_decision`, and the queries `status` and
    `approval`. Ends with the answer, or with a result that says that it ran out of rounds or
    budget; fails when a step fails for good, or at its deadline, which rests while it waits for a
    person. A run that grows long continues as new, under the same workflow id.
    """

    waits_off_the_clock = True

    @workflow.run
    async def run(self, request: ReActInput) -> ReActResult:
        """Think, act and observe until there is an answer."""
        before = request.resume
        deadline_at = before.deadline_at if before else workflow.time() + request.deadline_s
        self.take_up(before.usage if before else Usage(), before.steps_done if before else 0)
        loop = AgentLoop(
            self,
            agent=request.agent,
            user_id=request.user_id,
            budget=budget_of(request, self._usage),
            state=before,
            approval=self._approval(request),
        )
        result = await self._to_deadline(
            request.deadline_s,
            self._traced_rounds(request, loop),
            left=deadline_at - workflow.time(),
        )
        await self.finish_messages()
        return result

    def _approval(self, request: ReActInput) -> ToolApproval:
        return ToolApproval(
            flow=self,
            asked_by=request.asked_by or request.user_id,
            for_whom=request.user_id,
            seconds=request.decision_deadline_s,
            options=request.approval,
        )

    async def _traced_rounds(self, request: ReActInput, loop: AgentLoop) -> ReActResult:
        with loop.traced():
            return await self._rounds(request, loop)

    async def _rounds(self, request: ReActInput, loop: AgentLoop) -> ReActResult:
        if not loop.is_open:
            await loop.open(request.task, request.thread)
        while loop.round < request.max_rounds:
            try:
                thought = await loop.think()
            except BudgetExceededError as error:
                return await self._stop(loop, "budget", error.message)
            if not thought.calls:
                return self._result(loop, thought.answer, "answered", thought.model)
            failed = await loop.act(thought)
            await loop.observe(thought, failed)
            if workflow.info().is_continue_as_new_suggested():
                await self.finish_messages()
                self._continue_as_new(request, loop)
        return await self._stop(loop, "max_rounds", OUT_OF_ROUNDS)

    def _continue_as_new(self, request: ReActInput, loop: AgentLoop) -> None:
        """Go on in a new run with an empty history."""
        state = loop.state().model_copy(
            update={
                "deadline_at": workflow.time() + self.seconds_left,
                "usage": self._usage,
                "steps_done": self._steps_done,
            }
        )
        workflow.continue_as_new(request.model_copy(update={"task": "-", "resume": state}))

    async def _stop(self, loop: AgentLoop, stopped: StopReason, message: str) -> ReActResult:
        """End without an answer, with a row in the table of errors."""
        with self.step("log error"):
            await workflow.execute_activity_method(
                RecordActivities.log_error,
                LoggedError(type=stopped, message=message),
                activity_id="log-error",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="log why the run ends without an answer",
            )
        return self._result(loop, message, stopped)

    def _result(
        self, loop: AgentLoop, answer: str, stopped: StopReason, model: str = ""
    ) -> ReActResult:
        state = loop.state()
        return ReActResult(
            answer=answer,
            stopped=stopped,
            rounds=state.round,
            tool_calls=state.tool_calls,
            tool_calls_made=state.tool_calls_made,
            usage=self._usage,
            thread=state.thread,
            model=model,
        )
