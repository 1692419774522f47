"""Whose steps come first on the task queues: by priority, then in turns by tenant and weight.

Activities and child workflows have the priority of the run that starts them, and so has the run
that goes on for another: the server and the SDK see to that.
"""

from collections.abc import Mapping

from temporalio.common import Priority

from durable_agents.models.tenants import tenant_key

FIRST, DEFAULT, LAST = 1, 3, 5
"""Priorities: those with a smaller number come first. The server's own numbers."""


def priority_of(
    tenant: str, weights: Mapping[str, float] | None = None, *, priority: int = DEFAULT
) -> Priority:
    """The priority of a run.

    Args:
        tenant: Whose turn is taken; empty where there is none.
        weights: The weights of tenants; 1 for those not named. Twice the weight is twice as many
            turns.
        priority: From 1, served first, to 5.
    """
    if not tenant:
        return Priority(priority_key=priority)
    weight = (weights or {}).get(tenant)
    return Priority(priority_key=priority, fairness_key=tenant_key(tenant), fairness_weight=weight)
