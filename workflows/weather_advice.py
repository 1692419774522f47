"""F1: fetch the weather of a city, then let an agent say what to wear."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.generation import GenerationActivities
    from activities.weather import WeatherActivities
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.agent.toolbox import fenced
    from durable_agents.models import queues
    from durable_agents.models.conversation import GeneratedText, GenerateInput
    from durable_agents.models.weather_advice import (
        Weather,
        WeatherAdviceInput,
        WeatherAdviceResult,
    )
    from workflows import policies
    from workflows.flow import Flow

AGENT = "weather_advisor"
NO_ADVICE = "No advice available"
WEATHER_CHARS = 1000  # a service tells names of places, which may be anything


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class WeatherAdviceWorkflow(Flow):
    """Advise what to wear in a city.

    Takes the query `status`. Ends with the advice; fails when the city is unknown, when the
    model or the weather service stays out of reach, or at its deadline.
    """

    @workflow.run
    async def run(self, request: WeatherAdviceInput) -> WeatherAdviceResult:
        """Fetch the weather, then advise."""
        return await self._to_deadline(request.deadline_s, self._answer(request))

    async def _answer(self, request: WeatherAdviceInput) -> WeatherAdviceResult:
        weather = await self._fetch(request.city.strip())
        advice = await self._advise(weather, request.user_id)
        return WeatherAdviceResult(
            advice=advice.text or NO_ADVICE,
            weather=weather,
            model=advice.model,
            usage=advice.usage,
        )

    async def _fetch(self, city: str) -> Weather:
        with self.step("fetch weather", city):
            return await workflow.execute_activity_method(
                WeatherActivities.fetch_weather,
                city,
                activity_id="fetch-weather",
                task_queue=queues.TOOLS,
                start_to_close_timeout=policies.SERVICE_CALL_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.SERVICE_CALL,
                summary=f"fetch the weather of {city}"[:200],
            )

    async def _advise(self, weather: Weather, user_id: str) -> GeneratedText:
        told = fenced("weather", weather.sentence(), limit=WEATHER_CHARS)
        prompt = f"Given this weather, what should I wear?\n\n{told}"
        with self.step("advise", weather.sentence()):
            advice = await workflow.execute_activity_method(
                GenerationActivities.generate_text,
                GenerateInput(agent=AGENT, prompt=prompt, user_id=user_id),
                activity_id="advise",
                task_queue=queue_of(AGENT),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary="advise what to wear",
            )
        self.add_usage(advice.usage)
        return advice
