"""How starters name what a result tells of: its model, its tools, its tokens."""

from collections.abc import Sequence

from durable_agents.models.react import ToolUse
from durable_agents.models.status import Usage
from durable_agents.runtime.simulated import SIMULATOR_MODEL


def model_of(name: str) -> str:
    """A model's name; that of the simulator says what it is."""
    return f"{name} (the simulator, a stand-in)" if name == SIMULATOR_MODEL else name


def simulated(model: str) -> str:
    """A word behind a sentence that the simulator had a part in."""
    return " (simulated)" if model == SIMULATOR_MODEL else ""


def tools_of(calls: Sequence[ToolUse]) -> str:
    """The tools that were called, in order."""
    return ", ".join(call.tool for call in calls) or "no tool"


def tokens_of(usage: Usage) -> str:
    """How many tokens went in and came out."""
    return f"{usage.input_tokens} + {usage.output_tokens} tokens"
