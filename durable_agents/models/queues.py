"""The names of the task queues."""

WORKFLOWS = "durable-agents"
"""Workflows; queries and mutations, which start eagerly there."""

LLM = "durable-agents-llm"
"""Model calls."""

TOOLS = "durable-agents-tools"
"""Tools and other calls to the world."""

POOL = "durable-agents-pool"
"""Jobs of the work pool."""

DEFAULT_QUOTA = "default"
"""The quota of model calls that name none."""


def llm_queue(quota: str = DEFAULT_QUOTA) -> str:
    """The task queue of the model calls of a quota."""
    return LLM if quota in {"", DEFAULT_QUOTA} else f"{LLM}-{quota}"
