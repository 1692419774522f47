"""Runs of `WeatherAdviceWorkflow` to record."""

from durable_agents.models.weather_advice import WeatherAdviceInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("weather_advice.advised", WeatherAdviceInput(city="Paris", user_id="u-1")),
    Scene("weather_advice.unknown_city", WeatherAdviceInput(city="Nowherexyz")),
    Scene(
        "weather_advice.deadline",
        WeatherAdviceInput(city="Vienna", deadline_s=1),
        "weather (Vienna",
        (HANG,),
    ),
    Scene(
        "weather_advice.cancelled",
        WeatherAdviceInput(city="Vienna"),
        "weather (Vienna",
        (HANG,),
        cancel_in("advise"),
    ),
)
