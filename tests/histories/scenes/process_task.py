"""Runs of `TaskWorkflow` to record."""

from durable_agents.models.process_task import TaskInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("process_task.completed", TaskInput(user_id="user-2", task_id="task-3")),
    Scene("process_task.of_another_user", TaskInput(user_id="user-1", task_id="task-3")),
    Scene(
        "process_task.says_nothing",
        TaskInput(user_id="user-3", task_id="task-5"),
        "Write release notes",
        ({"kind": "empty", "times": -1},),
    ),
    Scene(
        "process_task.deadline",
        TaskInput(user_id="user-3", task_id="task-5", deadline_s=1),
        "Write release notes",
        (HANG,),
    ),
    Scene(
        "process_task.cancelled",
        TaskInput(user_id="user-3", task_id="task-5"),
        "Write release notes",
        (HANG,),
        cancel_in("process with model"),
    ),
)
