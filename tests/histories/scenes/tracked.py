"""Runs of `TrackedWorkflow` to record."""

from durable_agents.models.tracked import TrackedInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("tracked.completed", TrackedInput(task_id="task-1")),
    Scene("tracked.unknown_task", TrackedInput(task_id="no-such-task")),
    Scene(
        "tracked.deadline",
        TrackedInput(task_id="task-2", deadline_s=1),
        "Summarise the customer feedback",
        (HANG,),
    ),
    Scene(
        "tracked.cancelled",
        TrackedInput(task_id="task-2"),
        "Summarise the customer feedback",
        (HANG,),
        cancel_in("step1"),
    ),
)
