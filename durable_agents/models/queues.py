"""The names of the task queues."""

WORKFLOWS = "durable-agents"
"""Workflows; queries and mutations, which start eagerly there."""

LLM = "durable-agents-llm"
"""Model calls."""

TOOLS = "durable-agents-tools"
"""Tools and other calls to the world."""

POOL = "durable-agents-pool"
"""Jobs of the work pool."""
