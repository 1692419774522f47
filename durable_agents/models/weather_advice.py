"""Input and result of `WeatherAdviceWorkflow`."""

from pydantic import Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import ONE_CALL_S
from durable_agents.models.status import Usage


class WeatherAdviceInput(Record):
    """The city to dress for."""

    city: str = Field(min_length=1, max_length=200, pattern=r"\S")
    user_id: str = ""
    deadline_s: Deadline = ONE_CALL_S


class Weather(Record):
    """The weather of a place now: degrees Celsius, km/h, millimetres in the last hour."""

    city: str
    country: str = ""
    temperature_c: float
    wind_kmh: float
    precipitation_mm: float
    condition: str

    def sentence(self) -> str:
        """Say it as a person would."""
        return (
            f"{self.city}: {self.temperature_c:g} °C, {self.condition}, "
            f"wind {self.wind_kmh:g} km/h, precipitation {self.precipitation_mm:g} mm"
        )


class WeatherAdviceResult(Record):
    """What to wear, and the weather that the advice rests on."""

    advice: str
    weather: Weather
    model: str = ""
    usage: Usage = Usage()
