"""What people do to a run that is recorded: they decide."""

from collections.abc import Awaitable, Callable

from durable_agents.models.approval import ApprovalState
from tests.histories.scene import Handle
from tests.workflows.runs import until_step

Meddle = Callable[[Handle], Awaitable[None]]


def deciding(label: str, *decisions: dict[str, str]) -> Meddle:
    """Make decisions on one request, as Ann unless they say otherwise."""

    async def meddle(handle: Handle) -> None:
        await until_step(handle, f"wait for approval {label}")
        state = await handle.query("approval", result_type=ApprovalState)
        assert state.pending is not None
        for decision in decisions:
            given = {"digest": state.pending.digest, "by": "Ann", **decision}
            await handle.execute_update("submit_decision", given)  # pyright: ignore[reportUnknownMemberType] - the SDK's type

    return meddle


def rejecting_then(feedback: str, decision: dict[str, str]) -> Meddle:
    """Have a text revised once, then decide."""

    async def meddle(handle: Handle) -> None:
        await deciding("1", {"verdict": "reject", "feedback": feedback})(handle)
        await deciding("2", decision)(handle)

    return meddle
