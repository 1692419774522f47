"""Touches the weather service (Open-Meteo, or the simulator in its place)."""

import httpx2
from temporalio import activity

from durable_agents.clients.weather import fetch_weather
from durable_agents.models.weather_advice import Weather


class WeatherActivities:
    """The weather of a city."""

    def __init__(self, http: httpx2.AsyncClient, geocoding_url: str, forecast_url: str) -> None:
        self._http = http
        self._geocoding_url = geocoding_url
        self._forecast_url = forecast_url

    @activity.defn(name="fetch_weather")
    async def fetch_weather(self, city: str) -> Weather:
        """Fetch the weather of a city as it is now.

        Raises:
            UnknownCityError: The service knows no city of this name.
            ServiceUnavailableError: Another try may help.
            HttpStatusError: The service refuses.
        """
        return await fetch_weather(self._http, self._geocoding_url, self._forecast_url, city)
