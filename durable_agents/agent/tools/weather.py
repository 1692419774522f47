"""The tool `get_weather`: the weather of a city now, from Open-Meteo."""

from datetime import timedelta

from pydantic import Field

from durable_agents.agent.tool import Tool, ToolArguments, ToolContext, shortened
from durable_agents.clients.weather import fetch_weather
from durable_agents.models.weather_advice import Weather


class GetWeatherArguments(ToolArguments):
    """Where."""

    city: str = Field(
        min_length=1,
        max_length=200,
        description='A city; its country or province may follow: "Oslo", "Paris, Texas".',
    )


async def get_weather(arguments: GetWeatherArguments, context: ToolContext) -> Weather:
    """Ask for the weather of a city.

    Raises:
        UnknownCityError: The service knows no such city.
        ServiceUnavailableError: The service does not answer.
    """
    return await fetch_weather(
        context.http, context.geocoding_url, context.forecast_url, arguments.city
    )


GET_WEATHER = Tool(
    name="get_weather",
    description=(
        "The weather of a city now: temperature in degrees Celsius, wind in km/h, precipitation "
        "in mm, and the condition in words."
    ),
    arguments=GetWeatherArguments,
    run=get_weather,
    timeout=timedelta(seconds=25),  # two requests of 10 s at most
    untrusted=True,  # names of places come from a service that anyone can write into
    about=lambda arguments: shortened(arguments.city),
)
