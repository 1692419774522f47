"""The tool calls of an answer, checked against what the agent may do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.toolbox import digest, parse_arguments, tool_schema
from durable_agents.agent.tools import TOOLS
from durable_agents.clients.completion import RequestedCall
from durable_agents.models.conversation import ToolCall
from durable_agents.models.errors import ToolArgumentsError, UnknownToolError
from durable_agents.telemetry.redaction import SECRETS

ABOUT_CHARS = 40
NOT_OWN = "Error: {0} may be called for the customer alone whose conversation this is."


@dataclass(frozen=True)
class PlannedCall:
    """A call as it is stored and as history records it; `reason` is why it is refused."""

    stored: dict[str, Any]
    call: ToolCall
    reason: str = ""


def schemas_of(agent: AgentDefinition) -> tuple[dict[str, Any], ...]:
    """What a model is told of the tools that an agent may use.

    Raises:
        UnknownToolError: The catalogue grants a tool that does not exist.
    """
    for grant in agent.tools:
        if grant.name not in TOOLS:
            raise UnknownToolError(
                f"Agent {agent.name} is granted the tool {grant.name}, which does not exist. "
                f"Correct durable_agents/agent/catalogue; there are: {', '.join(TOOLS)}."
            )
    return tuple(tool_schema(TOOLS[grant.name]) for grant in agent.tools)


def plan_calls(
    agent: AgentDefinition, calls: Sequence[RequestedCall], user_id: str = ""
) -> list[PlannedCall]:
    """Check each call that a model asked for against what its agent may do for a user."""
    return [_planned(agent, call, user_id) for call in calls]


def _planned(agent: AgentDefinition, call: RequestedCall, user_id: str) -> PlannedCall:
    name = call.name[:100] or "(no name)"
    # As the database will keep them: a person approves, and the tool gets, what lies there.
    written = SECRETS.redact_stored(call.arguments)
    stored: dict[str, Any] = {"id": call.call_id, "name": name, "arguments": written}
    grant = agent.grant(name)
    if grant is None or name not in TOOLS:
        known = ", ".join(grant.name for grant in agent.tools) or "none"
        return _refused(stored, name, f"Error: there is no tool {name}. You can use: {known}.")
    tool = TOOLS[name]
    try:
        arguments = parse_arguments(tool, written)
    except ToolArgumentsError as error:
        return _refused(stored, name, f"Error: {error.message}")
    touched = tool.touches(arguments)
    if grant.own_only and touched and touched != user_id:
        return _refused(stored, name, NOT_OWN.format(name))
    return PlannedCall(
        stored,
        ToolCall(
            tool=name,
            digest=digest(arguments),
            about=tool.about(arguments)[:ABOUT_CHARS],
            approval=grant.requires_approval,
        ),
    )


def _refused(stored: dict[str, Any], name: str, reason: str) -> PlannedCall:
    return PlannedCall(stored, ToolCall(tool=name, digest="", refused=True), reason)
