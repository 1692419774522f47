"""Ask what to wear in a city, given the weather there."""

from typing import Annotated

import typer

from durable_agents.models.weather_advice import WeatherAdviceInput, WeatherAdviceResult
from starters.flow_command import Given, Start, flow_command
from starters.phrases import simulated
from starters.terminal import main_of, note, say


@flow_command("WeatherAdviceWorkflow", deadline=600)
def weather_advice(
    given: Given,
    city: Annotated[str, typer.Argument(help="The city to dress for.")],
) -> Start[WeatherAdviceResult]:
    """Ask what to wear in a city, given the weather there."""
    request = WeatherAdviceInput(city=city, user_id=given.user, deadline_s=given.deadline)
    return Start(request, f"what to wear in {city}", WeatherAdviceResult, show)


def show(result: WeatherAdviceResult) -> None:
    """Print the advice, and the weather that it is for."""
    say(result.advice)
    note(f"{result.weather.sentence()}{simulated(result.model)}")


if __name__ == "__main__":
    main_of(weather_advice)
