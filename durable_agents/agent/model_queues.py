"""On which task queue the model calls of an agent wait: that of its quota."""

from collections.abc import Collection

from durable_agents.agent.catalogue import AGENTS
from durable_agents.models.queues import DEFAULT_QUOTA, llm_queue


def queue_of(agent: str) -> str:
    """The task queue of an agent's model calls.

    An agent that is not in the catalogue has that of the default quota: the activity there says
    that it is unknown.
    """
    found = AGENTS.get(agent)
    return llm_queue(found.quota if found else DEFAULT_QUOTA)


def quotas_polled(configured: Collection[str]) -> tuple[str, ...]:
    """The quotas whose queues workers poll: the default, those configured, those of agents.

    An agent's quota that no setting limits is polled as well, so that no call waits for ever.
    """
    named = {agent.quota for agent in AGENTS.values() if agent.quota}
    return (DEFAULT_QUOTA, *sorted({*configured, *named} - {DEFAULT_QUOTA}))
