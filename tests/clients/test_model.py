"""The model client over HTTP, with the simulator as the server and its faults."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from durable_agents.clients.completion import MAX_ANSWER_CHARS
from durable_agents.clients.model import ChatRequest, ModelClient
from durable_agents.models.errors import (
    DurableAgentsError,
    ModelAuthenticationError,
    ModelQuotaError,
    ModelRequestError,
    ModelUnavailableError,
)
from durable_agents.runtime.embedded.ports import free_port
from durable_agents.runtime.simulated import SIMULATOR_MODEL
from tests.clients.loopback import answer, loopback
from tests.steering import Simulator
from tests.workflows.runs import token


@pytest.fixture
async def model(simulator: Simulator) -> AsyncIterator[ModelClient]:
    opened = ModelClient(base_url=f"{simulator.url}/v1", api_key="any", model=SIMULATOR_MODEL)
    yield opened
    await opened.close()


def request(text: str = "Hello", **values: Any) -> ChatRequest:
    given: dict[str, Any] = {
        "model": SIMULATOR_MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_output_tokens": 200,
        "timeout_s": 5.0,
    }
    return ChatRequest(**{**given, **values})


async def test_an_answer_comes_with_its_tokens(model: ModelClient) -> None:
    said = await model.chat(request("What is the capital of Norway?"))

    assert said.text
    assert (said.calls, said.cut, said.refusal, said.model) == ((), False, "", SIMULATOR_MODEL)
    assert said.input_tokens > 0
    assert said.output_tokens > 0


async def test_calls_come_as_the_model_wrote_them(model: ModelClient) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "calculate",
            "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}},
        },
    }

    said = await model.chat(request("What is 6 * 7?", tools=(tool,)))

    assert [call.name for call in said.calls] == ["calculate"]
    assert json.loads(said.calls[0].arguments) == {"expression": "6 * 7"}
    assert said.calls[0].call_id


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 400}, ModelRequestError),
        ({"status": 401}, ModelAuthenticationError),
        ({"status": 403}, ModelAuthenticationError),
        ({"status": 404}, ModelRequestError),
        ({"status": 408}, ModelUnavailableError),
        ({"status": 409}, ModelUnavailableError),
        ({"status": 422}, ModelRequestError),
        ({"status": 429}, ModelUnavailableError),
        ({"status": 429, "error_code": "insufficient_quota"}, ModelQuotaError),
        ({"status": 500}, ModelUnavailableError),
        ({"status": 503}, ModelUnavailableError),
        ({"status": 503, "should_retry": False}, ModelRequestError),
        ({"status": 400, "should_retry": True}, ModelUnavailableError),
        ({"kind": "drop"}, ModelUnavailableError),
        ({"kind": "invalid_json"}, ModelUnavailableError),
    ],
    ids=str,
)
async def test_a_failure_is_named_by_what_can_be_done_and_never_tried_again_here(
    model: ModelClient,
    simulator: Simulator,
    fault: dict[str, Any],
    error: type[DurableAgentsError],
) -> None:
    word = token()

    async with simulator.faults(word, {**fault, "times": -1}):
        with pytest.raises(DurableAgentsError) as raised:
            await model.chat(request(word))

    assert type(raised.value) is error
    assert raised.value.message.startswith(("http://127.0.0.1", "The model at http://127.0.0.1"))
    assert len(await simulator.calls(word)) == 1


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        ({"form": "ms", "value": 1500}, 1.5, 1.5),
        ({"form": "seconds", "value": 3}, 3, 3),
        ({"form": "date", "value": 30}, 27, 31),
        ({"form": "seconds", "value": 86_400}, 600, 600),
    ],
)
async def test_the_delay_that_the_server_names_goes_along_in_each_of_its_forms(
    model: ModelClient,
    simulator: Simulator,
    retry_after: dict[str, Any],
    least: float,
    most: float,
) -> None:
    word = token()

    async with simulator.faults(word, {"status": 429, "retry_after": retry_after}):
        with pytest.raises(ModelUnavailableError) as raised:
            await model.chat(request(word))

    delay = raised.value.retry_after
    assert delay is not None
    assert timedelta(seconds=least) <= delay <= timedelta(seconds=most)


async def test_no_answer_in_time_is_worth_another_try(
    model: ModelClient, simulator: Simulator
) -> None:
    word = token()

    async with simulator.faults(word, {"kind": "hang"}):
        with pytest.raises(ModelUnavailableError, match="in time"):
            await model.chat(request(word, timeout_s=0.3))


async def test_an_answer_that_was_cut_a_refusal_and_a_long_one_are_told_apart(
    model: ModelClient, simulator: Simulator
) -> None:
    word = token()
    faults = ({"kind": "cut_short"}, {"kind": "refusal"}, {"kind": "too_long"})

    async with simulator.faults(word, *faults):
        cut, refused, long = [await model.chat(request(f"Hello, {word}.")) for _ in faults]

    assert cut.cut
    assert refused.refusal
    assert len(long.text) == MAX_ANSWER_CHARS


async def test_a_wrong_key_is_named_with_the_variable(simulator: Simulator) -> None:
    model = ModelClient(base_url=f"{simulator.url}/v1", api_key="wrong", model=SIMULATOR_MODEL)

    with pytest.raises(ModelAuthenticationError, match="check OPENAI_API_KEY"):
        await model.chat(request())
    await model.close()


async def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    model = ModelClient(base_url=f"http://127.0.0.1:{free_port()}/v1", api_key="", model="m")

    with pytest.raises(ModelUnavailableError, match="OPENAI_BASE_URL"):
        await model.chat(request())
    await model.close()


async def test_the_first_model_of_the_server_is_the_default(simulator: Simulator) -> None:
    model = ModelClient(base_url=f"{simulator.url}/v1", api_key="any")

    assert await model.default_model() == SIMULATOR_MODEL
    await model.close()


async def test_a_server_that_lists_no_model_needs_one_to_be_named() -> None:
    nothing = '{"object": "list", "data": []}'

    async with loopback() as server:
        server.answers["/v1/models"] = answer(nothing, kind="application/json")
        model = ModelClient(base_url=f"{server.url}/v1", api_key="any")
        with pytest.raises(ModelRequestError, match="Set OPENAI_MODEL"):
            await model.default_model()
        await model.close()


@pytest.mark.parametrize(
    "body",
    [
        "<html>Welcome</html>",
        "{}",
        "[]",
        '{"choices": []}',
        '{"choices": [{"message": null}]}',
        '"text"',
    ],
)
async def test_what_is_no_chat_completion_is_worth_another_try(body: str) -> None:
    async with loopback() as server:
        server.answers["/v1/chat/completions"] = answer(body, kind="application/json")
        model = ModelClient(base_url=f"{server.url}/v1", api_key="any", model="m")
        with pytest.raises(ModelUnavailableError, match="not a chat completion"):
            await model.chat(request())
        await model.close()


async def test_servers_that_leave_things_out_are_understood() -> None:
    body = """{"choices": [{"message": {"tool_calls": [
        {"function": {"name": "calculate", "arguments": null}}, {}]}}], "usage": null}"""

    async with loopback() as server:
        server.answers["/v1/chat/completions"] = answer(body, kind="application/json")
        model = ModelClient(base_url=f"{server.url}/v1", api_key="", model="m")
        said = await model.chat(request(model="m"))
        await model.close()

    assert [(call.call_id, call.name, call.arguments) for call in said.calls] == [
        ("call_0", "calculate", "{}"),
        ("call_1", "", "{}"),
    ]
    assert (said.model, said.input_tokens) == ("m", 0)
