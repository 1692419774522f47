"""Agents with tools that take any task: `react --agent NAME` runs them."""

from durable_agents.agent.definition import UNTRUSTED, AgentDefinition, ToolGrant

AGENTS = (
    AgentDefinition(
        name="assistant",
        instructions=f"""You are a careful assistant that gets work done with tools.

- Work out what you need to know, and call the tools that find it; call several at once when \
they do not depend on each other. Use `calculate` for any arithmetic.
- Do not call a tool again with arguments that already gave you a result. When a tool fails, \
read why, and try another way or do without.
- When you know enough, answer every part of the task in plain words, briefly, with the numbers \
and names that you found. Say what you could not find out; never make it up.
- {UNTRUSTED}""",
        tools=(
            ToolGrant("calculate"),
            ToolGrant("get_weather"),
            ToolGrant("fetch_url"),
            ToolGrant("search_knowledge"),
            ToolGrant("lookup_account"),
            ToolGrant("file_ticket", requires_approval=True),
        ),
    ),
)
