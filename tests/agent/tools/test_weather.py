import dataclasses

import pytest

from durable_agents.agent.tool import ToolContext
from durable_agents.agent.toolbox import parse_arguments, render_result
from durable_agents.agent.tools.weather import GET_WEATHER
from durable_agents.models.errors import UnknownCityError
from tests.clients.loopback import answer, loopback

OSLO = '{"results":[{"name":"Oslo","latitude":59.91,"longitude":10.75,"country":"Norway"}]}'
NOW = '{"current":{"temperature_2m":-3,"precipitation":0,"weather_code":3,"wind_speed_10m":7.5}}'


async def test_the_weather_reaches_the_model_as_data_from_outside(world: ToolContext) -> None:
    async with loopback() as service:
        service.answers = {"/v1/search": answer(OSLO), "/v1/forecast": answer(NOW)}
        context = dataclasses.replace(world, geocoding_url=service.url, forecast_url=service.url)

        result = await GET_WEATHER.run(parse_arguments(GET_WEATHER, '{"city": "Oslo"}'), context)

    assert render_result(GET_WEATHER, result) == (
        '<untrusted source="get_weather">\n'
        '{"city":"Oslo","country":"Norway","temperature_c":-3.0,"wind_kmh":7.5,'
        '"precipitation_mm":0.0,"condition":"overcast"}\n</untrusted>'
    )


async def test_an_unknown_city_is_told_as_one(world: ToolContext) -> None:
    async with loopback() as service:
        service.answers = {"/v1/search": answer("{}")}
        context = dataclasses.replace(world, geocoding_url=service.url, forecast_url=service.url)

        with pytest.raises(UnknownCityError, match="'Atlantis'"):
            await GET_WEATHER.run(parse_arguments(GET_WEATHER, '{"city": "Atlantis"}'), context)
