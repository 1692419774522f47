"""Asks a person before an agent's tool is called, and says to the agent what came of it."""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from durable_agents.agent.toolbox import fenced
    from durable_agents.models.approval import ApprovalOptions, Outcome, RequestApprovalInput
    from durable_agents.models.conversation import ToolCall
    from workflows.approval import ApprovalFlow

FENCE_CHARS = 200  # what a fence and its note take, at most

_REJECTED = "Error: a person{by} rejected this call, so it was not made. They say: {feedback}"
_BY_DEFAULT = "Error: nobody decided on this call in time, so it was not made."


@dataclass(frozen=True)
class ToolApproval:
    """How an agent's calls are asked about.

    Attributes:
        flow: The run that waits.
        asked_by: Who started it.
        for_whom: The user that it works for.
        seconds: How long each request waits.
        options: How the decisions are to be made.
    """

    flow: ApprovalFlow
    asked_by: str
    for_whom: str
    seconds: float
    options: ApprovalOptions

    async def ask(self, call: ToolCall, *, message: int, index: int, place: str) -> Outcome:
        """Ask about the call at `index` of a message; `place` names it within the run."""
        asked = RequestApprovalInput(
            step=place,
            kind="tool",
            subject=f"{call.tool}: {call.about}" if call.about else call.tool,
            asked_by=self.asked_by,
            for_whom=self.for_whom,
            message=message,
            index=index,
            options=self.options,
        )
        return await self.flow.ask(asked, self.seconds, label=place)


def refusal_of(outcome: Outcome) -> str:
    """What the agent observes of a call that was not approved.

    The feedback of somebody who signed in stands there as it is. Anybody who reaches the Temporal
    server can send another, so that it is fenced: it may inform the agent, and not direct it.
    """
    if outcome.is_by_default:
        return _BY_DEFAULT
    feedback = outcome.feedback
    if not outcome.verified:
        feedback = fenced("reviewer", feedback, limit=len(feedback) * 4 + FENCE_CHARS)
    by = f" ({outcome.by})" if outcome.verified else ""
    return _REJECTED.format(by=by, feedback=feedback)


def as_approved(call: ToolCall, outcome: Outcome) -> ToolCall:
    """The call as it was approved: with other arguments, where a person changed them."""
    if not outcome.edited:
        return call
    return call.model_copy(update={"digest": outcome.edit_digest, "about": outcome.about})
