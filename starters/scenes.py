"""What the demonstration plays: the flows, each on sample data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.models.tracked import TrackedInput, TrackedResult
from durable_agents.models.weather_advice import WeatherAdviceInput, WeatherAdviceResult
from starters.running import Flow

ACCOUNT = "A-1001"


@dataclass(frozen=True)
class Scene:
    """One run of the demonstration; `on_started` meddles with it once it works."""

    title: str
    flow: Flow
    request: BaseModel
    result_type: type[BaseModel]
    answer: Callable[[Any], str]
    kill_worker: bool = False


def scenes(*, may_kill: bool) -> list[Scene]:
    """The flows that exist, each on sample data; one loses its worker, if that may be."""
    question = "What is 12.5 % of 2480, and what is the weather in Oslo?"
    lookup = f"Look up account {ACCOUNT} and tell me the weather in its city."
    refund = "According to our refund policy, how long does a customer have to ask for a refund?"
    return [
        _react("An agent calls two tools side by side", question),
        _react(
            f"An agent {'whose worker is killed (kill -9)' if may_kill else 'looks up an account'}",
            lookup,
            kill_worker=may_kill,
        ),
        _react("An agent searches the knowledge base", refund),
        Scene(
            "Weather, then advice",
            Flow("WeatherAdviceWorkflow", "weather-advice", "what to wear in Paris", "demo"),
            WeatherAdviceInput(city="Paris", user_id="demo"),
            WeatherAdviceResult,
            lambda result: result.advice,
        ),
        Scene(
            "A task whose progress is tracked in a table",
            Flow("TrackedWorkflow", "tracked", "task task-1", "demo"),
            TrackedInput(task_id="task-1", user_id="demo"),
            TrackedResult,
            lambda result: result.result,
        ),
    ]


def _react(title: str, task: str, *, kill_worker: bool = False) -> Scene:
    return Scene(
        title,
        Flow("ReActWorkflow", "react", task, "demo"),
        ReActInput(task=task, user_id="demo"),
        ReActResult,
        lambda result: result.answer,
        kill_worker,
    )
