"""Runs of `ResilientTaskWorkflow` to record."""

from durable_agents.models.resilient_task import ResilientTaskInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("resilient_task.primary", ResilientTaskInput(task_id="task-5")),
    Scene(
        "resilient_task.fallback",
        ResilientTaskInput(task_id="task-5"),
        "You process tasks with care",
        ({"status": 400},),
    ),
    Scene("resilient_task.unknown_task", ResilientTaskInput(task_id="no-such-task")),
    Scene(
        "resilient_task.both_fail",
        ResilientTaskInput(task_id="task-4"),
        "Work out what a move to Business costs",
        ({"status": 400, "times": -1},),
    ),
    Scene(
        "resilient_task.cancelled",
        ResilientTaskInput(task_id="task-4"),
        "Work out what a move to Business costs",
        (HANG,),
        cancel_in("primary"),
    ),
)
