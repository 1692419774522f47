"""Runs of `ReviewWorkflow` to record.

Two files beside theirs, `review.deadline_did_not_rest` and `review.approved_before_resting`, are of
the release before, in which the deadline went on while a run waited; nothing records them again.
"""

from durable_agents.models.approval import ApprovalOptions, ApprovalState
from durable_agents.models.review import ReviewInput
from tests.histories.deciding import deciding, rejecting_then
from tests.histories.scene import HANG, Handle, Scene, cancel_in
from tests.workflows.runs import until_step


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
        meddle=rejecting_then("Shorter.", {"verdict": "approve"}),
    ),
    Scene(
        "review.rejected",
        ReviewInput(task_id="task-5", max_revisions=0),
        meddle=deciding("1", {"verdict": "reject", "feedback": "No."}),
    ),
    Scene(
        "review.edited",
        ReviewInput(task_id="task-5"),
        meddle=deciding("1", {"verdict": "edit", "edit": "What Ann wrote."}),
    ),
    Scene(
        "review.approved_by_default",
        ReviewInput(
            task_id="task-5",
            decision_deadline_s=0.3,
            approval=ApprovalOptions(default_verdict="approve"),
        ),
    ),
    Scene(
        "review.escalated",
        ReviewInput(
            task_id="task-5",
            decision_deadline_s=1.5,
            approval=ApprovalOptions(
                reviewer="editors",
                escalate_to="chiefs",
                remind_after_s=0.2,
                escalate_after_s=0.5,
                default_verdict="reject",
            ),
            max_revisions=0,
        ),
    ),
    Scene(
        "review.two_approved",
        ReviewInput(task_id="task-5", approval=ApprovalOptions(needed=2)),
        meddle=deciding("1", {"verdict": "approve"}, {"verdict": "approve", "by": "Bo"}),
    ),
    Scene("review.signalled", ReviewInput(task_id="task-5"), meddle=signal_stray_and_good),
    Scene("review.expired", ReviewInput(task_id="task-5", decision_deadline_s=0.5)),
    Scene("review.unknown_task", ReviewInput(task_id="no-such-task")),
    Scene(
        "review.deadline",
        ReviewInput(task_id="task-5", deadline_s=1),
        "Write release notes",
        (HANG,),
    ),
    Scene(
        "review.cancelled",
        ReviewInput(task_id="task-5"),
        meddle=cancel_in("wait for approval 1"),
    ),
)
