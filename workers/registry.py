"""Which role runs which workflows and activities, on which task queue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from activities.jobs import JobActivities
from durable_agents.agent.model_queues import quotas_polled
from durable_agents.models import queues
from workers.activities import (
    CALLS_OUT,
    GENERATING,
    MODEL_CALLS,
    QUERIES_AND_MUTATIONS,
    bound,
    tools,
)
from workers.resources import Resources
from workers.roles import Role
from workflows.analyze_document import DocumentAnalysisWorkflow
from workflows.debug import DebugWorkflow
from workflows.external_call import ExternalCallWorkflow
from workflows.order import OrderWorkflow
from workflows.process_documents import DocumentBatchWorkflow
from workflows.process_task import TaskWorkflow
from workflows.react import ReActWorkflow
from workflows.research import ResearchWorkflow
from workflows.resilient_task import ResilientTaskWorkflow
from workflows.review import ReviewWorkflow
from workflows.route import RoutingWorkflow
from workflows.saga import SagaFlow
from workflows.support import SupportWorkflow
from workflows.tracked import TrackedWorkflow
from workflows.weather_advice import WeatherAdviceWorkflow
from workflows.work_pool import PoolLaneWorkflow

WORKFLOWS: tuple[type, ...] = (
    DebugWorkflow,
    ExternalCallWorkflow,
    TaskWorkflow,
    ReActWorkflow,
    WeatherAdviceWorkflow,
    TrackedWorkflow,
    SupportWorkflow,
    RoutingWorkflow,
    DocumentAnalysisWorkflow,
    DocumentBatchWorkflow,
    ResearchWorkflow,
    ReviewWorkflow,
    ResilientTaskWorkflow,
    OrderWorkflow,
    PoolLaneWorkflow,
)

SAGAS = frozenset(one.__name__ for one in WORKFLOWS if issubclass(one, SagaFlow))
"""Those that undo what they did when they fail or are cancelled."""


@dataclass(frozen=True)
class RoleSpec:
    """What a role runs; `per_second` is the limit of the queue's activities over all workers."""

    queue: str
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]
    per_second: float | None = None


def specs_of(role: Role, resources: Resources) -> tuple[RoleSpec, ...]:
    """What a role runs on each of its queues: model calls have one for each quota.

    A quota's limit on its queue keeps calls that have to wait from holding slots; that the calls
    themselves keep it, see `durable_agents.agent.quotas`.
    """
    spec = spec_of(role, resources)
    if role != "llm":
        return (spec,)
    limits = resources.settings.quotas
    return tuple(
        replace(spec, queue=queues.llm_queue(quota), per_second=limits.get(quota))
        for quota in quotas_polled(limits)
    )


def spec_of(role: Role, resources: Resources) -> RoleSpec:
    """What a role runs, with its activities tied to what they need."""
    if role == "workflows":
        return RoleSpec(queues.WORKFLOWS, WORKFLOWS, bound(QUERIES_AND_MUTATIONS, resources))
    if role == "llm":
        return RoleSpec(queues.LLM, (), bound(MODEL_CALLS, resources))
    calling = (*tools(resources), *bound(CALLS_OUT, resources))
    if role == "tools":
        return RoleSpec(queues.TOOLS, (), calling)
    jobs = JobActivities(resources.job_services()).activities()
    return RoleSpec(queues.POOL, (), (*bound(GENERATING, resources), *calling, *jobs))
