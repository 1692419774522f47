"""The agents there are, in a module for each subject. A new one is an entry in its `AGENTS`."""

from collections.abc import Mapping

from durable_agents.agent.catalogue import (
    assistants,
    customers,
    documents,
    research,
    tasks,
    weather,
)
from durable_agents.agent.definition import AgentDefinition
from durable_agents.models.errors import UnknownAgentError

AGENTS: Mapping[str, AgentDefinition] = {
    agent.name: agent
    for subject in (assistants, customers, documents, research, tasks, weather)
    for agent in subject.AGENTS
}


def get_agent(name: str) -> AgentDefinition:
    """The agent of this name.

    Raises:
        UnknownAgentError: There is none; lists those there are.
    """
    agent = AGENTS.get(name)
    if agent is None:
        raise UnknownAgentError(
            f"There is no agent named {name[:60]!r}. Choose one of: {', '.join(sorted(AGENTS))}."
        )
    return agent
