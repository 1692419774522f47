"""Open-Meteo (https://open-meteo.com): the weather of a city, without an account."""

import asyncio
from datetime import timedelta
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from durable_agents.clients.answers import named_failures, raise_for_status, shown
from durable_agents.models.errors import ServiceUnavailableError, UnknownCityError
from durable_agents.models.weather_advice import Weather

DEADLINE = timedelta(seconds=10)  # for each of the two requests
CANDIDATES = 10  # places of one name, among which "Paris, Texas" chooses
CURRENT = "temperature_2m,precipitation,weather_code,wind_speed_10m"

# WMO 4677 as Open-Meteo uses it: https://open-meteo.com/en/docs#weather_variable_documentation
CONDITIONS = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "freezing fog",
    51: "light drizzle",
    53: "drizzle",
    55: "heavy drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light showers",
    81: "showers",
    82: "violent showers",
    85: "light snow showers",
    86: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with hail",
    99: "thunderstorm with heavy hail",
}


class _Place(BaseModel):
    name: str
    latitude: float
    longitude: float
    country: str = ""
    country_code: str = ""
    admin1: str = ""

    def lies_in(self, region: str) -> bool:
        """Whether a country, its code or a province has this name."""
        return region.casefold() in {
            name.casefold() for name in (self.country, self.country_code, self.admin1)
        }


class _Places(BaseModel):
    results: list[_Place] = []


class _Current(BaseModel):
    temperature_2m: float
    wind_speed_10m: float
    precipitation: float
    weather_code: int


class _Forecast(BaseModel):
    current: _Current


Answer = TypeVar("Answer", bound=BaseModel)


async def fetch_weather(
    http: httpx2.AsyncClient, geocoding_url: str, forecast_url: str, city: str
) -> Weather:
    """The weather of a city now.

    Args:
        http: The client; it never retries.
        geocoding_url: Base address of the service that knows places.
        forecast_url: Base address of the service that knows weather.
        city: Its name, with its country or province after a comma where it needs one.

    Raises:
        UnknownCityError: No place has this name.
        HttpStatusError: A service refuses the request.
        ServiceUnavailableError: A service does not answer, or not as it should.
    """
    place = await _find(http, geocoding_url, city)
    where = {"latitude": f"{place.latitude:g}", "longitude": f"{place.longitude:g}"}
    url = f"{forecast_url.rstrip('/')}/v1/forecast"
    current = (await _get(http, url, {**where, "current": CURRENT}, _Forecast)).current
    return Weather(
        city=place.name,
        country=place.country,
        temperature_c=current.temperature_2m,
        wind_kmh=current.wind_speed_10m,
        precipitation_mm=current.precipitation,
        condition=CONDITIONS.get(current.weather_code, f"weather code {current.weather_code}"),
    )


async def _find(http: httpx2.AsyncClient, geocoding_url: str, city: str) -> _Place:
    """The place that is meant: the first of its name, in the named region if one of them is."""
    parts = [part.strip() for part in city.split(",")]
    name, region = parts[0], parts[-1]
    url = f"{geocoding_url.rstrip('/')}/v1/search"
    params = {"name": name, "count": str(CANDIDATES), "language": "en", "format": "json"}
    places = (await _get(http, url, params, _Places)).results if name else []
    if not places:
        raise UnknownCityError(
            f"The weather service knows no city named {city[:100]!r}. "
            "Check the spelling, or name a larger place near it."
        )
    return next((place for place in places if place.lies_in(region)), places[0])


async def _get(
    http: httpx2.AsyncClient, url: str, params: dict[str, str], answer: type[Answer]
) -> Answer:
    target = httpx2.URL(url)
    async with named_failures(target), asyncio.timeout(DEADLINE.total_seconds()):
        response = await http.get(target, params=params, follow_redirects=False)
    raise_for_status(response.status_code, response.headers, target)
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise ServiceUnavailableError(
            f"{shown(target)} answered something that is not the weather service's JSON."
        ) from error
