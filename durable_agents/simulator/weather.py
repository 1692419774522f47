"""Stands in for Open-Meteo's geocoding and forecast services, deterministic from coordinates.

The shapes are those of https://open-meteo.com/en/docs and …/geocoding-api; the weather is what
latitude, longitude and height suggest at one fixed hour of spring, and no forecast at all.
"""

import json
import math
import unicodedata
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any, cast

from durable_agents import simulator
from durable_agents.simulator.json_values import JsonObject

FORECAST_TIME = "2026-04-01T12:00"
_FIRST_DAY = date(2026, 4, 1)
_UNITS = {
    "temperature_2m": "°C",
    "apparent_temperature": "°C",
    "relative_humidity_2m": "%",
    "precipitation": "mm",
    "rain": "mm",
    "showers": "mm",
    "snowfall": "cm",
    "weather_code": "wmo code",
    "cloud_cover": "%",
    "is_day": "",
    "pressure_msl": "hPa",
    "surface_pressure": "hPa",
    "wind_speed_10m": "km/h",
    "wind_direction_10m": "°",
    "wind_gusts_10m": "km/h",
}
_DAILY_UNITS = {
    "weather_code": "wmo code",
    "temperature_2m_max": "°C",
    "temperature_2m_min": "°C",
    "precipitation_sum": "mm",
    "wind_speed_10m_max": "km/h",
}


class WeatherRequestError(Exception):
    """The real service would answer 400; the message is the reason that it would give."""


@lru_cache(maxsize=1)
def cities() -> list[JsonObject]:
    """Load the cities that geocoding knows."""
    text = (files(simulator) / "cities.json").read_text(encoding="utf-8")
    return cast(list[JsonObject], json.loads(text))


def plain_name(name: str) -> str:
    """Write a name in small letters without accents, so that "Sao Paulo" finds "São Paulo"."""
    decomposed = unicodedata.normalize("NFKD", name.casefold().replace("ø", "o"))
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def found_places(name: str, count: int) -> JsonObject:
    """Answer a geocoding search; `results` is left out when nothing is found, as they do."""
    wanted = plain_name(name.split(",", maxsplit=1)[0])
    matches = [city for city in cities() if plain_name(city["name"]) == wanted]
    if not matches and len(wanted) > 2:
        matches = [city for city in cities() if plain_name(city["name"]).startswith(wanted)]
    answer: JsonObject = {"results": matches[:count]} if matches and wanted else {}
    return {**answer, "generationtime_ms": 0.5}


def forecast(
    latitude: float, longitude: float, current: list[str], daily: list[str], days: int
) -> JsonObject:
    """Answer a forecast request.

    Raises:
        WeatherRequestError: A coordinate is out of range or a variable is unknown.
    """
    _check(latitude, longitude, current, daily)
    answer: JsonObject = {
        "latitude": round(latitude, 4),
        "longitude": round(longitude, 4),
        "generationtime_ms": 0.05,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "timezone_abbreviation": "GMT",
        "elevation": _elevation(latitude, longitude),
    }
    if current:
        now = _weather_on(0, latitude, longitude)
        answer["current_units"] = {"time": "iso8601", "interval": "seconds"} | {
            name: _UNITS[name] for name in current
        }
        answer["current"] = {"time": FORECAST_TIME, "interval": 900} | {
            name: now[name] for name in current
        }
    if daily:
        rows = [_weather_on(day, latitude, longitude) for day in range(days)]
        answer["daily_units"] = {"time": "iso8601"} | {name: _DAILY_UNITS[name] for name in daily}
        answer["daily"] = {
            "time": [(_FIRST_DAY + timedelta(days=day)).isoformat() for day in range(days)]
        } | {name: [row[name] for row in rows] for name in daily}
    return answer


def _check(latitude: float, longitude: float, current: list[str], daily: list[str]) -> None:
    if not -90 <= latitude <= 90:
        raise WeatherRequestError(f"Latitude must be in range of -90 to 90°. Given: {latitude}.")
    if not -180 <= longitude <= 180:
        raise WeatherRequestError(
            f"Longitude must be in range of -180 to 180°. Given: {longitude}."
        )
    for variable, known in [(v, _UNITS) for v in current] + [(v, _DAILY_UNITS) for v in daily]:
        if variable not in known:
            raise WeatherRequestError(
                "Data corrupted at path ''. Cannot initialize SurfacePressureAndHeightVariable"
                f"<VariableAndPreviousDay> from invalid String value {variable}."
            )


def _weather_on(day: int, latitude: float, longitude: float) -> dict[str, Any]:
    """Derive one day's weather: cold in the north and in the heights, each place its own sky."""
    # Mean April temperature falls about as the square of the latitude, by 4.5 °C a km of height.
    height = _elevation(latitude, longitude)
    mean = 28.0 - 0.0068 * latitude * latitude - 0.0045 * height
    swing, wet, wind = _shares(day, latitude, longitude)
    temperature = round(mean + 6 * swing - 3, 1)
    precipitation = round(max(0.0, wet - 0.55) * 6, 1)
    code = _weather_code(wet, precipitation, temperature)
    speed = round(4 + 22 * wind, 1)
    return {
        "temperature_2m": temperature,
        "apparent_temperature": round(temperature - speed / 12, 1),
        "relative_humidity_2m": round(45 + 50 * wet),
        "precipitation": precipitation,
        "rain": 0.0 if temperature < 0 else precipitation,
        "showers": 0.0,
        "snowfall": round(precipitation * 0.7, 2) if temperature < 0 else 0.0,
        "weather_code": code,
        "cloud_cover": min(100, round(120 * wet)),
        "is_day": 1,
        "pressure_msl": round(1022 - 18 * wet, 1),
        "surface_pressure": round((1022 - 18 * wet) * math.exp(-height / 8400), 1),
        "wind_speed_10m": speed,
        "wind_direction_10m": round(359 * swing),
        "wind_gusts_10m": round(speed * 1.8, 1),
        "temperature_2m_max": round(temperature + 2.5, 1),
        "temperature_2m_min": round(temperature - 4.5, 1),
        "precipitation_sum": round(precipitation * 3, 1),
        "wind_speed_10m_max": round(speed * 1.3, 1),
    }


def _weather_code(wet: float, precipitation: float, temperature: float) -> int:
    """Give the WMO code (table 4677, as Open-Meteo uses it) of a sky."""
    if precipitation > 0:
        if temperature < 0:
            return 71 if precipitation < 1.2 else 73
        return 51 if precipitation < 0.3 else 61 if precipitation < 1.6 else 63
    if wet > 0.4:
        return 3
    return 2 if wet > 0.25 else 1 if wet > 0.12 else 0


def _elevation(latitude: float, longitude: float) -> float:
    for city in cities():
        if abs(city["latitude"] - latitude) < 0.1 and abs(city["longitude"] - longitude) < 0.1:
            return float(city["elevation"])
    return 50.0


def _shares(day: int, latitude: float, longitude: float) -> tuple[float, float, float]:
    """Three numbers from 0 to 1 that belong to this place and day."""
    seed = f"{round(latitude, 1)} {round(longitude, 1)} {day}".encode()
    digest = blake2b(seed, digest_size=6).digest()
    first, second, third = (
        int.from_bytes(digest[start : start + 2], "big") / 65535 for start in (0, 2, 4)
    )
    return first, second, third
