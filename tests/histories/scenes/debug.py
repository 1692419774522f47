"""Runs of `DebugWorkflow` to record."""

from durable_agents.models.debug import DebugInput
from tests.histories.scene import Scene, cancel_in

SCENES = (
    Scene("debug.completed", DebugInput(values=(3, 4, 5), pause_s=0.1)),
    Scene("debug.total_too_large", DebugInput(values=(1e308, 1e308))),
    Scene("debug.deadline", DebugInput(values=(1,), pause_s=60, deadline_s=1)),
    Scene("debug.cancelled", DebugInput(values=(1,), pause_s=60), meddle=cancel_in("pause")),
)
