"""The tool calls of an agent: each is a step of its own, and some need a person first."""

from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from durable_agents.agent.toolbox import render_result
    from durable_agents.agent.tools import TOOLS
    from durable_agents.models import queues
    from durable_agents.models.conversation import (
        FailedCall,
        ToolCall,
        ToolCallInput,
        ToolOutcome,
    )
    from durable_agents.models.react import LoopState, ToolUse
    from workflows import policies
    from workflows.effect_keys import EffectKeys
    from workflows.flow import Flow, reason_of
    from workflows.tool_approval import ToolApproval, as_approved, refusal_of

NO_APPROVAL = "Error: {tool} needs the approval of a person, and none can be asked here."
TOOL_CALLS_SHOWN = 100
REASON_CHARS = 1000


class ToolCalls:
    """Runs the calls of one agent, and remembers the latest.

    Args:
        flow: The workflow whose steps these are.
        label: Tells the steps of this loop from those of the run's other loops.
        user_id: For whom the agent works.
        approval: Asks people about the calls that need them; without it these are refused.
        before: Where an earlier run of the chain left off.
    """

    def __init__(
        self,
        flow: Flow,
        label: str,
        user_id: str,
        approval: ToolApproval | None,
        before: LoopState,
    ) -> None:
        self._flow = flow
        self._label = label
        self._user_id = user_id
        self._approval = approval
        self.latest = list(before.tool_calls)
        self.made = before.tool_calls_made
        self.keys = EffectKeys(label, before.occurrences, before.unsettled)

    async def run(self, message: int, round_: int, index: int, call: ToolCall) -> FailedCall | None:
        """Run one call; says why it left no observation of its own, if so."""
        if call.refused:
            self._note(call, "refused")
            return None
        try:
            return await self._approved_call(message, f"{round_}.{index + 1}", index, call)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._note(call, "failed")
            return FailedCall(index=index, reason=_observed(call.tool, error))

    async def _approved_call(
        self, message: int, place: str, index: int, call: ToolCall
    ) -> FailedCall | None:
        """Run a call, once a person has agreed to it where one has to."""
        request = 0
        if call.approval:
            if self._approval is None:
                self._note(call, "refused")
                return FailedCall(index=index, reason=NO_APPROVAL.format(tool=call.tool))
            step = f"{self._label}{call.tool}-{place}"
            outcome = await self._approval.ask(call, message=message, index=index, place=step)
            if not outcome.approved:
                self._note(call, "refused")
                return FailedCall(index=index, reason=refusal_of(outcome))
            call, request = as_approved(call, outcome), outcome.request_id
        key = self.keys.key_of(call)
        asked = ToolCallInput(
            message=message,
            index=index,
            key=key,
            user_id=self._user_id,
            first_stands=self.keys.is_shared(call.tool),
            request=request,
            digest=call.digest if request else "",
        )
        try:
            done = await self._run_tool(call, place, asked)
        except ActivityError as error:
            if not is_cancelled_exception(error):
                self.keys.leave_unsettled(call, key)
            raise
        self._note(call, "failed" if done.failed else "done")
        return None

    async def _run_tool(self, call: ToolCall, place: str, asked: ToolCallInput) -> ToolOutcome:
        tool = TOOLS.get(call.tool)
        with self._flow.step(f"{self._label}{call.tool} {place}", call.about):
            return await workflow.execute_activity(
                call.tool,
                asked,
                result_type=ToolOutcome,
                activity_id=f"{self._label}{call.tool}-{place}",
                task_queue=queues.TOOLS,
                start_to_close_timeout=tool.timeout if tool else policies.SERVICE_CALL_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.tool_call(tool.attempts) if tool else policies.SERVICE_CALL,
                summary=f"{call.tool} {call.about}".rstrip(),
            )

    def _note(self, call: ToolCall, outcome: Literal["done", "failed", "refused"]) -> None:
        """Keep the latest calls for the result."""
        self.made += 1
        self.latest.append(ToolUse(tool=call.tool, about=call.about, outcome=outcome))
        del self.latest[:-TOOL_CALLS_SHOWN]


def _observed(name: str, error: ActivityError) -> str:
    """What the agent is told of a call that failed; a server's words may be in it."""
    reason, tool = f"Error: {reason_of(error)[:REASON_CHARS]}", TOOLS.get(name)
    return render_result(tool, reason) if tool else reason
