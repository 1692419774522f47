"""Which role runs which workflows and activities, on which task queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from activities.conversation import ConversationActivities
from activities.generation import GenerationActivities
from activities.records import RecordActivities
from activities.thinking import ThinkingActivities
from activities.tools import ToolActivities
from activities.weather import WeatherActivities
from durable_agents.models import queues
from workers.resources import Resources
from workers.roles import Role
from workflows.react import ReActWorkflow
from workflows.tracked import TrackedWorkflow
from workflows.weather_advice import WeatherAdviceWorkflow

WORKFLOWS: tuple[type, ...] = (ReActWorkflow, WeatherAdviceWorkflow, TrackedWorkflow)


@dataclass(frozen=True)
class RoleSpec:
    """What a role runs."""

    queue: str
    workflows: tuple[type, ...]
    activities: tuple[Callable[..., Any], ...]


def spec_of(role: Role, resources: Resources) -> RoleSpec:
    """What a role runs, with its activities tied to what they need."""
    if role == "workflows":
        conversation = ConversationActivities(resources.database)
        records = RecordActivities(resources.database)
        return RoleSpec(
            queues.WORKFLOWS,
            WORKFLOWS,
            (
                conversation.create_thread,
                conversation.save_messages,
                conversation.observe,
                records.validate_task,
                records.save_result,
                records.save_status,
                records.log_error,
            ),
        )
    thinking = ThinkingActivities(resources.asker, resources.database)
    generation = GenerationActivities(resources.asker, resources.database)
    generating = (generation.generate_text, generation.generate_object)
    if role == "llm":
        return RoleSpec(queues.LLM, (), (thinking.think, *generating))
    tools = ToolActivities(resources.database, resources.tool_context)
    weather = WeatherActivities(
        resources.http, resources.settings.geocoding_url, resources.settings.forecast_url
    )
    calling = (*tools.activities(), weather.fetch_weather)
    if role == "tools":
        return RoleSpec(queues.TOOLS, (), calling)
    return RoleSpec(queues.POOL, (), (*generating, *calling))
