"""Ask what to wear in a city, given the weather there."""

from typing import Annotated

import typer

from durable_agents.models.weather_advice import WeatherAdviceInput, WeatherAdviceResult
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "WeatherAdviceWorkflow"


def weather_advice(
    city: Annotated[str, typer.Argument(help="The city to dress for.")],
    deadline: Deadline = 600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Ask what to wear in a city, given the weather there."""

    async def work(settings: Settings) -> None:
        request = WeatherAdviceInput(city=city, user_id=user, deadline_s=deadline)
        flow = Flow(WORKFLOW, "weather-advice", f"what to wear in {city}", user, tenant, priority)
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, WeatherAdviceResult, options)
        if result is not None and not as_json:
            say(result.advice)
            stand_in = " (simulated)" if result.model == SIMULATOR_MODEL else ""
            note(f"{result.weather.sentence()}{stand_in}")

    run(work, as_json=as_json)


if __name__ == "__main__":
    main_of(weather_advice)
