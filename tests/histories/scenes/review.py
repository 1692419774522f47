"""Runs of `ReviewWorkflow` to record."""

from collections.abc import Awaitable, Callable

from durable_agents.models.approval import ApprovalState
from durable_agents.models.review import ReviewInput
from tests.histories.scene import Handle, Scene, cancel_in
from tests.workflows.runs import until_step


def deciding(*decisions: dict[str, str]) -> Callable[[Handle], Awaitable[None]]:
    """Decide on one revision after the other, as people would."""

    async def meddle(handle: Handle) -> None:
        for revision, decision in enumerate(decisions, 1):
            await until_step(handle, f"wait for approval {revision}")
            state = await handle.query("approval", result_type=ApprovalState)
            assert state.pending is not None
            given = {"digest": state.pending.digest, "by": "Ann", **decision}
            await handle.execute_update("submit_decision", given)  # pyright: ignore[reportUnknownMemberType] - the SDK's type

    return meddle


async def signal_stray_and_good(handle: Handle) -> None:
    """Signal what does not fit, what is stale, and then the decision."""
    await handle.signal("decide", {"verdict": "approve", "digest": "early"})
    await until_step(handle, "wait for approval 1")
    state = await handle.query("approval", result_type=ApprovalState)
    assert state.pending is not None
    for given in ("approve", {"verdict": "approve"}, {"verdict": "approve", "digest": "stale"}):
        await handle.signal("decide", given)
    await handle.signal("decide", {"verdict": "approve", "digest": state.pending.digest})


SCENES = (
    Scene(
        "review.approved_after_rejection",
        ReviewInput(task_id="task-5"),
        meddle=deciding({"verdict": "reject", "feedback": "Shorter."}, {"verdict": "approve"}),
    ),
    Scene(
        "review.rejected",
        ReviewInput(task_id="task-5", max_revisions=0),
        meddle=deciding({"verdict": "reject", "feedback": "No."}),
    ),
    Scene("review.signalled", ReviewInput(task_id="task-5"), meddle=signal_stray_and_good),
    Scene("review.expired", ReviewInput(task_id="task-5", decision_deadline_s=0.5)),
    Scene("review.unknown_task", ReviewInput(task_id="no-such-task")),
    Scene("review.deadline", ReviewInput(task_id="task-5", deadline_s=1)),
    Scene(
        "review.cancelled",
        ReviewInput(task_id="task-5"),
        meddle=cancel_in("wait for approval 1"),
    ),
)
