"""Advises what to wear for the weather that a text describes."""

import re
from dataclasses import dataclass

_TEMPERATURE = re.compile(
    r"temperature(?:_c|_2m)?[\"']?\s*(?:is|of|[:=])?\s*(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\s*°\s*C?(?![A-Za-z])"
    r"|(-?\d+(?:\.\d+)?)\s*(?:degrees|celsius)",
    re.I,
)
_FAHRENHEIT = re.compile(r"(-?\d+(?:\.\d+)?)\s*°?\s*F\b")
_PRECIPITATION = re.compile(
    r"(?:precipitation|rain)(?:_mm)?[\"']?\s*(?:is|of|[:=])?\s*(\d+(?:\.\d+)?)", re.I
)
_WIND = re.compile(
    r"wind(?:_kmh|_speed_10m|[ _]speed)?[\"']?\s*(?:is|of|at|[:=])?\s*(\d+(?:\.\d+)?)"
    r"|(\d+(?:\.\d+)?)\s*km/h",
    re.I,
)
_WET = re.compile(r"\b(rain\w*|drizzl\w*|showers?|thunderstorms?|storms?|wet)\b", re.I)
_SNOW = re.compile(r"\b(snow\w*|sleet|blizzard|freezing)\b", re.I)
_DRY = re.compile(r"\bno (?:rain|precipitation|snow|showers)\b|\bdry\b", re.I)
_ASKS = re.compile(r"\b(wear|dress|clothes|clothing|outfit|jacket|coat|umbrella|put on)\b", re.I)
_LAYERS = (
    (-5.0, "a heavy winter coat, warm layers, a hat, gloves and insulated boots"),
    (3.0, "a winter coat, a warm sweater, a hat and gloves"),
    (10.0, "a warm jacket over a sweater, and closed shoes"),
    (16.0, "a light jacket or a sweater with long trousers"),
    (22.0, "a long-sleeved shirt, with a light layer for the evening"),
    (28.0, "a T-shirt and light trousers or a skirt"),
)
_HOTTEST = "light, loose clothes and a hat; drink enough and stay out of the midday sun"


@dataclass(frozen=True)
class Weather:
    """What matters for clothes: degrees Celsius, rain, snow, wind in km/h."""

    temperature_c: float
    rain: bool
    snow: bool
    wind_kmh: float


def asks_what_to_wear(text: str) -> bool:
    """Tell whether clothes are the question."""
    return _ASKS.search(text) is not None


def weather_in(text: str) -> Weather | None:
    """Read the weather in a text; None when it names no temperature."""
    temperature = _first_number(_TEMPERATURE, text)
    if temperature is None:
        fahrenheit = _first_number(_FAHRENHEIT, text)
        if fahrenheit is None:
            return None
        temperature = (fahrenheit - 32) / 1.8
    amount = _first_number(_PRECIPITATION, text)
    said = _DRY.sub(" ", re.sub(r"(?:precipitation|rain)\w*[\"']?\s*[:=]\s*[\d.]+", " ", text))
    snow = _SNOW.search(said) is not None
    wet = (amount is not None and amount > 0) or _WET.search(_ASKS.sub(" ", said)) is not None
    return Weather(temperature, wet and not snow, snow, _first_number(_WIND, text) or 0.0)


def advice_for(weather: Weather) -> str:
    """Say what to wear, in one or two sentences."""
    degrees = f"{round(weather.temperature_c) or 0} °C"
    clothes = next((what for below, what in _LAYERS if weather.temperature_c < below), _HOTTEST)
    sentences = [f"At {degrees} wear {clothes}."]
    if weather.snow:
        sentences.append("It snows: take waterproof boots with a good grip.")
    elif weather.rain:
        sentences.append("It rains: take a waterproof jacket or an umbrella.")
    if weather.wind_kmh >= 30:
        sentences.append("It is windy: choose a windproof layer.")
    return " ".join(sentences)


def _first_number(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    return next(float(group) for group in match.groups() if group) if match else None
