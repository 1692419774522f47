import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from durable_agents.clients.weather import CONDITIONS, fetch_weather
from durable_agents.models.errors import (
    HttpStatusError,
    ServiceUnavailableError,
    UnknownCityError,
)
from durable_agents.models.weather_advice import Weather
from tests.clients.loopback import Answer, Loopback, answer, loopback

PARIS = {
    "name": "Paris",
    "latitude": 48.85341,
    "longitude": 2.3488,
    "country": "France",
    "country_code": "FR",
    "admin1": "Île-de-France",
}
PARIS_IN_TEXAS = {
    "name": "Paris",
    "latitude": 33.66094,
    "longitude": -95.55551,
    "country": "United States",
    "country_code": "US",
    "admin1": "Texas",
}
NOW = {"temperature_2m": 11.4, "precipitation": 0.2, "weather_code": 61, "wind_speed_10m": 14.0}


def json_answer(value: Any, *, status: int = 200) -> Answer:
    return answer(json.dumps(value), kind="application/json", status=status)


@pytest.fixture
async def service() -> AsyncGenerator[Loopback]:
    async with loopback() as running:
        running.answers["/v1/search"] = json_answer({"results": [PARIS, PARIS_IN_TEXAS]})
        running.answers["/v1/forecast"] = json_answer({"current": NOW})
        yield running


async def weather(service: Loopback, city: str) -> Weather:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await fetch_weather(http, service.url, f"{service.url}/", city)


async def test_the_weather_of_a_city_comes_in_words_and_units(service: Loopback) -> None:
    found = await weather(service, "Paris")

    assert found == Weather(
        city="Paris",
        country="France",
        temperature_c=11.4,
        wind_kmh=14.0,
        precipitation_mm=0.2,
        condition="light rain",
    )
    assert "latitude=48.8534&longitude=2.3488" in service.requests[1]


@pytest.mark.parametrize("city", ["Paris, Texas", "paris,us", "Paris, Lamar County, United States"])
async def test_a_region_after_the_comma_chooses_among_places_of_one_name(
    service: Loopback, city: str
) -> None:
    assert (await weather(service, city)).country == "United States"
    assert "name=paris&" in service.requests[0].lower()


async def test_a_region_that_is_spelled_differently_leaves_the_first_place(
    service: Loopback,
) -> None:
    assert (await weather(service, "Paris, Frankreich")).country == "France"


@pytest.mark.parametrize("city", ["Atlantis", "", "   ", ", France"])
async def test_an_unknown_city_is_a_final_error_that_names_it(service: Loopback, city: str) -> None:
    service.answers["/v1/search"] = json_answer({"generationtime_ms": 0.5})

    with pytest.raises(UnknownCityError, match=f"no city named '{city}'"):
        await weather(service, city)


@pytest.mark.parametrize("path", ["/v1/search", "/v1/forecast"])
async def test_a_refused_request_is_final(service: Loopback, path: str) -> None:
    service.answers[path] = json_answer({"error": True, "reason": "no"}, status=400)

    with pytest.raises(HttpStatusError, match=r"^HTTP 400"):
        await weather(service, "Paris")


@pytest.mark.parametrize("path", ["/v1/search", "/v1/forecast"])
async def test_too_many_requests_wait_as_long_as_the_service_says(
    service: Loopback, path: str
) -> None:
    service.answers[path] = answer(status=429, retry_after="20")

    with pytest.raises(ServiceUnavailableError) as raised:
        await weather(service, "Paris")

    assert raised.value.retry_after == timedelta(seconds=20)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"current": {}}', '{"current": null}'])
async def test_an_answer_that_is_not_the_services_is_worth_another_try(
    service: Loopback, body: str
) -> None:
    service.answers["/v1/forecast"] = answer(body)

    with pytest.raises(ServiceUnavailableError, match="not the weather service's JSON"):
        await weather(service, "Paris")


async def test_a_service_that_is_not_there_is_worth_another_try(service: Loopback) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(ServiceUnavailableError, match="cannot be read"):
            await fetch_weather(http, "http://127.0.0.1:1", service.url, "Paris")


async def test_a_code_without_a_word_is_told_as_a_code(service: Loopback) -> None:
    service.answers["/v1/forecast"] = json_answer({"current": {**NOW, "weather_code": 42}})

    assert (await weather(service, "Paris")).condition == "weather code 42"


def test_every_code_that_open_meteo_documents_has_a_word() -> None:
    documented = {0, 1, 2, 3, 45, 48, 51, 53, 55, 56, 57, 61, 63, 65, 66, 67, 71, 73, 75, 77}
    documented |= {80, 81, 82, 85, 86, 95, 96, 99}

    assert set(CONDITIONS) == documented
