"""F1 with the real server and the simulator as the model and the weather service."""

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.models.weather_advice import WeatherAdviceInput, WeatherAdviceResult
from tests.steering import Simulator
from tests.workflows import runs
from workflows.weather_advice import NO_ADVICE

pytestmark = pytest.mark.usefixtures("worker")

WORKFLOW = "WeatherAdviceWorkflow"
SOON = {"form": "ms", "value": 10}
FENCE = 'weather\\">\\n'  # what stands before the weather in a request to the model


async def advise(client: Client, city: str) -> WeatherAdviceResult:
    request = WeatherAdviceInput(city=city)
    handle = await runs.start(client, WORKFLOW, request, result_type=WeatherAdviceResult)
    return await runs.result_of(handle)


async def test_advice_rests_on_the_weather_that_was_fetched(
    client: Client, simulator: Simulator
) -> None:
    result = await advise(client, " Reykjavik ")

    assert result.weather.city == "Reykjavik"
    assert result.advice
    assert result.advice != NO_ADVICE
    assert result.model == "simulator-extractive-1"
    assert result.usage.calls == 1
    asked = (await simulator.calls("Reykjavik"))[-1]["body"]
    assert "Given this weather, what should I wear?" in asked
    assert f"{FENCE}{result.weather.sentence()}" in asked


async def test_a_model_that_says_nothing_gives_no_advice(
    client: Client, simulator: Simulator
) -> None:
    async with simulator.faults(f"{FENCE}Tokyo", {"kind": "empty"}):
        result = await advise(client, "Tokyo")

    assert result.advice == NO_ADVICE
    assert result.usage.calls == 1


async def test_an_unknown_city_fails_the_run_at_once(client: Client) -> None:
    handle = await runs.start(client, WORKFLOW, WeatherAdviceInput(city="Nowherexyz"))

    kind, message = await runs.failure_of(handle)

    assert kind == "UnknownCityError"
    assert "'Nowherexyz'" in message
    assert await runs.activities_of(handle) == ["fetch-weather"]
    assert (await runs.status_of(handle)).error == message


async def test_both_steps_are_tried_again(client: Client, simulator: Simulator) -> None:
    down = {"status": 503, "retry_after": SOON}

    async with (
        simulator.faults("name=Cairo", {"route": "weather", **down}),
        simulator.faults(f"{FENCE}Cairo", down),
    ):
        handle = await runs.start(client, WORKFLOW, WeatherAdviceInput(city="Cairo"))
        await runs.result_of(handle)

    assert await runs.attempts_of(handle, "fetch-weather") == 2
    assert await runs.attempts_of(handle, "advise") == 2


async def test_a_weather_service_that_stays_away_fails_the_run_after_five_tries(
    client: Client, simulator: Simulator
) -> None:
    down = {"route": "weather", "status": 503, "times": -1, "retry_after": SOON}

    async with simulator.faults("name=Lima", down):
        handle = await runs.start(client, WORKFLOW, WeatherAdviceInput(city="Lima"))
        kind, message = await runs.failure_of(handle)

    assert kind == "ServiceUnavailableError"
    assert "503" in message
    assert await runs.attempts_of(handle, "fetch-weather") == 5


async def test_weather_that_makes_no_sense_fails_the_run(
    client: Client, simulator: Simulator
) -> None:
    nonsense = {"route": "weather", "kind": "nonsense", "times": -1, "text": "?"}

    async with simulator.faults("name=Quito", nonsense):
        handle = await runs.start(client, WORKFLOW, WeatherAdviceInput(city="Quito"))
        await runs.failure_of(handle)

    assert (await handle.describe()).status == WorkflowExecutionStatus.FAILED


@pytest.mark.parametrize("step", ["fetch weather", "advise"])
async def test_a_step_that_never_answers_ends_at_the_deadline(
    client: Client, simulator: Simulator, step: str
) -> None:
    hang = {"kind": "hang", "times": -1, "route": "weather" if step == "fetch weather" else "chat"}
    match = "name=Seoul" if step == "fetch weather" else f"{FENCE}Seoul"

    async with simulator.faults(match, hang):
        request = WeatherAdviceInput(city="Seoul", deadline_s=1)
        handle = await runs.start(client, WORKFLOW, request)
        await runs.until_step(handle, step)
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 1 s" in message


@pytest.mark.parametrize(
    "given",
    [[], [{"city": ""}], [{"city": "  "}], [{"town": "Oslo"}], ["Oslo"], [{"city": "x" * 300}]],
    ids=lambda given: str(given)[:30],
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message


async def test_a_cancelled_run_ends_cancelled(client: Client, simulator: Simulator) -> None:
    async with simulator.faults(f"{FENCE}Boston", {"kind": "hang", "times": -1}):
        handle = await runs.start(client, WORKFLOW, WeatherAdviceInput(city="Boston"))
        await runs.until_step(handle, "advise")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert (await runs.status_of(handle)).state == "cancelled"
