"""Whose steps come first on the task queues: by priority, then in turns by tenant and weight.

Activities and child workflows have the priority of the run that starts them, and so has the run
that goes on for another: the server and the SDK see to that.
"""

import hashlib
from collections.abc import Mapping

from temporalio.common import Priority

FIRST, DEFAULT, LAST = 1, 3, 5
"""Priorities: those with a smaller number come first. The server's own numbers."""

_LONGEST_KEY = 64  # bytes, says the server


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
    return Priority(priority_key=priority, fairness_key=_key(tenant), fairness_weight=weight)


def _key(tenant: str) -> str:
    """The tenant's name, or its digest where that is too long for the server."""
    named = tenant.encode()
    if len(named) <= _LONGEST_KEY:
        return tenant
    return hashlib.sha256(named).hexdigest()
