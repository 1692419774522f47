"""Which role runs which workflows and activities, on which task queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
from workflows.process_task import TaskWorkflow
from workflows.react import ReActWorkflow
from workflows.research import ResearchWorkflow
from workflows.resilient_task import ResilientTaskWorkflow
from workflows.review import ReviewWorkflow
from workflows.route import RoutingWorkflow
from workflows.support import SupportWorkflow
from workflows.tracked import TrackedWorkflow
from workflows.weather_advice import WeatherAdviceWorkflow

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
    ResearchWorkflow,
    ReviewWorkflow,
    ResilientTaskWorkflow,
    OrderWorkflow,
)


@dataclass(frozen=True)
class RoleSpec:
    """What a role runs."""

    queue: str
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]


def spec_of(role: Role, resources: Resources) -> RoleSpec:
    """What a role runs, with its activities tied to what they need."""
    if role == "workflows":
        return RoleSpec(queues.WORKFLOWS, WORKFLOWS, bound(QUERIES_AND_MUTATIONS, resources))
    if role == "llm":
        return RoleSpec(queues.LLM, (), bound(MODEL_CALLS, resources))
    calling = (*tools(resources), *bound(CALLS_OUT, resources))
    if role == "tools":
        return RoleSpec(queues.TOOLS, (), calling)
    return RoleSpec(queues.POOL, (), (*bound(GENERATING, resources), *calling))
