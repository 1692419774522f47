import asyncio
import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from durable_agents.simulator import EMBEDDING_MODEL_NAME, MODEL_NAME
from tests.simulator.talking import TOOLS


async def fail_with(http: httpx2.AsyncClient, **fault: Any) -> None:
    answer = await http.post("/_faults", json=fault)
    assert answer.status_code == 200, answer.text


async def ask(client: AsyncOpenAI, text: str = "weather in Oslo") -> ChatCompletion:
    return await client.chat.completions.create(
        model=MODEL_NAME,
        messages=[{"role": "user", "content": text}],
        tools=TOOLS,  # pyright: ignore[reportArgumentType]  # plain dictionaries
    )


def calls_of(answer: ChatCompletion) -> list[tuple[str, str]]:
    calls = answer.choices[0].message.tool_calls or []
    return [(c.function.name, c.function.arguments) for c in calls if c.type == "function"]


async def test_a_status_is_answered_as_often_as_asked(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, route="chat", status=503, times=2)

    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await ask(openai_client)

    assert (await ask(openai_client)).choices
    assert (await http.get("/_faults")).json() == {"faults": []}


async def test_faults_stay_until_cleared_when_times_is_minus_one(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, status=500, times=-1)

    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            await ask(openai_client)
    await http.delete("/_faults")

    assert (await ask(openai_client)).choices


@pytest.mark.parametrize(
    ("retry_after", "header", "expected"),
    [
        ({"form": "ms", "value": 1500}, "retry-after-ms", "1500"),
        ({"form": "seconds", "value": 2.5}, "retry-after", "2.5"),
    ],
)
async def test_retry_after_is_said_in_numbers(
    http: httpx2.AsyncClient,
    openai_client: AsyncOpenAI,
    retry_after: dict[str, Any],
    header: str,
    expected: str,
) -> None:
    await fail_with(http, status=429, retry_after=retry_after, should_retry=True)

    with pytest.raises(openai.RateLimitError) as caught:
        await ask(openai_client)

    assert caught.value.response.headers[header] == expected
    assert caught.value.response.headers["x-should-retry"] == "true"
    assert caught.value.code == "rate_limit_exceeded"


async def test_retry_after_is_said_as_a_date(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, status=429, retry_after={"form": "date", "value": 60})

    with pytest.raises(openai.RateLimitError) as caught:
        await ask(openai_client)

    moment = parsedate_to_datetime(caught.value.response.headers["retry-after"])
    assert 50 < (moment - datetime.now(UTC)).total_seconds() <= 60


async def test_an_exhausted_quota_has_its_code(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, status=429, error_code="insufficient_quota", should_retry=False)

    with pytest.raises(openai.RateLimitError) as caught:
        await ask(openai_client)

    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert caught.value.response.headers["x-should-retry"] == "false"


async def test_a_fault_spoils_only_requests_that_match(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, status=500, match="run-7")

    assert (await ask(openai_client, "weather in Oslo for run-8")).choices
    with pytest.raises(openai.InternalServerError):
        await ask(openai_client, "weather in Oslo for run-7")


async def test_clearing_by_match_leaves_the_faults_of_others(http: httpx2.AsyncClient) -> None:
    await fail_with(http, status=500, match="mine")
    await fail_with(http, status=500, match="theirs")

    await http.delete("/_faults", params={"match": "mine"})

    assert [f["match"] for f in (await http.get("/_faults")).json()["faults"]] == ["theirs"]


async def test_an_answer_can_come_late(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, kind="latency", latency_s=0.3)

    begun = time.monotonic()
    answer = await ask(openai_client)

    assert time.monotonic() - begun >= 0.3
    assert calls_of(answer)


async def test_an_answer_can_be_cut_short(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    whole = await ask(openai_client, "hello")
    await fail_with(http, kind="cut_short")

    cut = await ask(openai_client, "hello")

    said, half = whole.choices[0].message.content or "", cut.choices[0].message.content or ""
    assert cut.choices[0].finish_reason == "length"
    assert half == said[: len(said) // 2]


async def test_a_body_can_be_no_json(http: httpx2.AsyncClient, openai_client: AsyncOpenAI) -> None:
    await fail_with(http, kind="invalid_json")

    with pytest.raises(json.JSONDecodeError):
        await ask(openai_client)


@pytest.mark.parametrize(
    ("kind", "content"), [("nonsense", "Colourless green ideas sleep furiously."), ("empty", "")]
)
async def test_content_can_be_useless(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI, kind: str, content: str
) -> None:
    await fail_with(http, kind=kind)

    answer = await ask(openai_client)

    assert answer.choices[0].message.content == content
    assert calls_of(answer) == []


async def test_the_model_can_refuse(http: httpx2.AsyncClient, openai_client: AsyncOpenAI) -> None:
    await fail_with(http, kind="refusal", text="No.")

    answer = await ask(openai_client)

    assert answer.choices[0].message.refusal == "No."
    assert answer.choices[0].message.content is None


async def test_a_connection_can_break(http: httpx2.AsyncClient, openai_client: AsyncOpenAI) -> None:
    await fail_with(http, kind="drop")

    with pytest.raises(openai.APIConnectionError):
        await ask(openai_client)


async def test_an_answer_can_stay_away(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, kind="hang")

    with pytest.raises(openai.APITimeoutError):
        await ask(openai_client.with_options(timeout=0.3))

    assert (await ask(openai_client)).choices


async def test_the_model_can_loop(http: httpx2.AsyncClient, openai_client: AsyncOpenAI) -> None:
    await fail_with(http, kind="loop", times=-1)

    answers = [calls_of(await ask(openai_client)) for _ in range(3)]

    assert answers == [[("get_weather", '{"city": "Oslo"}')]] * 3


async def test_an_answer_can_be_too_long(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, kind="too_long")

    answer = await ask(openai_client, "hello")

    assert len(answer.choices[0].message.content or "") > 2_000_000


@pytest.mark.parametrize(
    ("fault", "call"),
    [
        ({"kind": "bad_arguments"}, ("get_weather", '{"unexpected": "argument"}')),
        ({"kind": "bad_arguments", "text": '{"city": '}, ("get_weather", '{"city": ')),
        ({"kind": "unknown_tool"}, ("no_such_tool", "{}")),
    ],
)
async def test_a_call_can_be_wrong(
    http: httpx2.AsyncClient,
    openai_client: AsyncOpenAI,
    fault: dict[str, Any],
    call: tuple[str, str],
) -> None:
    await fail_with(http, **fault)

    assert calls_of(await ask(openai_client)) == [call]


async def test_embeddings_and_weather_fail_too(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, route="embeddings", status=500)
    await fail_with(http, route="weather", status=503, retry_after={"form": "seconds", "value": 1})
    await fail_with(http, route="weather", kind="invalid_json")

    with pytest.raises(openai.InternalServerError):
        await openai_client.embeddings.create(model=EMBEDDING_MODEL_NAME, input="x")
    failed = await http.get("/v1/search", params={"name": "Oslo"})
    broken = await http.get("/v1/search", params={"name": "Oslo"})

    assert (failed.status_code, failed.headers["retry-after"]) == (503, "1")
    assert failed.json()["error"] is True
    with pytest.raises(json.JSONDecodeError):
        broken.json()


@pytest.mark.parametrize(
    "fault", [{"kind": "explode"}, {"route": "weather", "kind": "refusal"}, {"tiems": 2}]
)
async def test_a_fault_that_makes_no_sense_is_refused(
    http: httpx2.AsyncClient, fault: dict[str, Any]
) -> None:
    assert (await http.post("/_faults", json=fault)).status_code == 422


async def test_calls_are_counted_and_remembered(
    http: httpx2.AsyncClient, openai_client: AsyncOpenAI
) -> None:
    await fail_with(http, kind="nonsense", match="second")
    await ask(openai_client, "the first")
    await ask(openai_client, "the second")
    await http.get("/v1/search", params={"name": "Oslo"})

    calls = (await http.get("/_calls")).json()
    second = (await http.get("/_calls", params={"match": "the second"})).json()

    assert calls["counts"] == {"chat": 2, "weather": 1}
    assert [call["fault"] for call in calls["requests"]] == [None, "nonsense", None]
    assert second["matching"] == 1
    await http.delete("/_calls")
    assert (await http.get("/_calls")).json()["counts"] == {}


async def test_the_memory_of_calls_is_bounded(http: httpx2.AsyncClient) -> None:
    async def search(number: int) -> None:
        await http.get("/v1/search", params={"name": f"x{number}"})

    for start in range(0, 520, 20):
        await asyncio.gather(*(search(start + number) for number in range(20)))

    calls = (await http.get("/_calls")).json()
    assert calls["counts"] == {"weather": 520}
    assert len(calls["requests"]) == 500
