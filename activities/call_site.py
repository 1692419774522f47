"""Tells where an activity stands, for the rows it writes.

Workflows give their activities readable ids, such as `think-3`; a run and such an id name a
step, the same for every attempt.
"""

from temporalio import activity

from durable_agents.agent.sites import CallSite
from durable_agents.db.threads import Step


def call_site(user_id: str = "") -> CallSite:
    """The workflow, run, step and attempt of this activity, and whose turn it takes."""
    info = activity.info()
    return CallSite(
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
        step=info.activity_id,
        attempt=info.attempt,
        user_id=user_id,
        tenant=info.priority.fairness_key or "",
    )


def step_of() -> Step:
    """The run and step of this activity."""
    info = activity.info()
    return Step(run_id=info.workflow_run_id or "", step=info.activity_id)
