import json

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from durable_agents.simulator import EMBEDDING_MODEL_NAME, MODEL_NAME
from tests.simulator.talking import TOOLS

TASK: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "weather in Oslo, and 3 plus 4?"}
]
KEY = {"authorization": "Bearer any"}


class Intent(BaseModel):
    type: str
    confidence: float


async def test_models_are_listed(openai_client: AsyncOpenAI) -> None:
    models = await openai_client.models.list()

    assert [model.id for model in models.data] == [MODEL_NAME, EMBEDDING_MODEL_NAME]


async def test_a_completion_has_parallel_calls_and_usage(openai_client: AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(
        model=MODEL_NAME,
        messages=TASK,
        tools=TOOLS,  # pyright: ignore[reportArgumentType]  # plain dictionaries
    )

    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == [
        "calculate",
        "get_weather",
    ]
    assert len({call.id for call in calls}) == 2
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 0


async def test_a_structured_answer_is_parsed_by_the_client(openai_client: AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.parse(
        model=MODEL_NAME,
        messages=[{"role": "user", "content": "I want to buy 5 seats"}],
        response_format=Intent,
    )

    assert answer.choices[0].message.parsed == Intent(type="sales", confidence=0.9)


async def test_a_limit_of_tokens_cuts_the_answer(openai_client: AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(
        model=MODEL_NAME, messages=[{"role": "user", "content": "Why?"}], max_tokens=3
    )

    assert answer.choices[0].finish_reason == "length"
    assert len(answer.choices[0].message.content or "") == 12


async def test_a_stream_says_the_same_in_pieces(openai_client: AsyncOpenAI) -> None:
    whole = await openai_client.chat.completions.create(
        model=MODEL_NAME, messages=[{"role": "user", "content": "Why is the sky blue?"}]
    )

    pieces: list[str] = []
    usage = 0
    stream = await openai_client.chat.completions.create(
        model=MODEL_NAME,
        messages=[{"role": "user", "content": "Why is the sky blue?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        pieces += [choice.delta.content or "" for choice in chunk.choices]
        usage = chunk.usage.total_tokens if chunk.usage else usage

    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 3
    assert whole.usage is not None
    assert usage == whole.usage.total_tokens


async def test_a_stream_of_tool_calls_is_put_together_by_the_client(
    openai_client: AsyncOpenAI,
) -> None:
    async with openai_client.chat.completions.stream(
        model=MODEL_NAME,
        messages=TASK,
        tools=TOOLS,  # pyright: ignore[reportArgumentType]  # plain dictionaries
    ) as stream:
        final = await stream.get_final_completion()

    calls = final.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in calls] == [
        {"expression": "3 + 4"},
        {"city": "Oslo"},
    ]


async def test_the_same_request_has_the_same_body(http: httpx2.AsyncClient) -> None:
    body = {"model": MODEL_NAME, "messages": TASK, "tools": TOOLS}

    answers = [await http.post("/v1/chat/completions", json=body, headers=KEY) for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert answers[0].headers["x-request-id"] != answers[1].headers["x-request-id"]


async def test_similar_texts_are_near(openai_client: AsyncOpenAI) -> None:
    texts = [
        "How can I get a refund for my order?",
        "Refunds: how orders are refunded",
        "Rain is expected over Norway tomorrow",
    ]

    answer = await openai_client.embeddings.create(model=EMBEDDING_MODEL_NAME, input=texts)

    vectors = [item.embedding for item in answer.data]
    near, far = (
        sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:]
    )
    assert [len(vector) for vector in vectors] == [256] * 3
    assert all(abs(sum(v * v for v in vector) - 1) < 1e-5 for vector in vectors)
    assert near > far + 0.3


async def test_base64_and_floats_are_the_same_vector(openai_client: AsyncOpenAI) -> None:
    encoded = await openai_client.embeddings.create(
        model=EMBEDDING_MODEL_NAME, input="refund", dimensions=8
    )
    plain = await openai_client.embeddings.create(
        model=EMBEDDING_MODEL_NAME, input="refund", dimensions=8, encoding_format="float"
    )

    assert len(plain.data[0].embedding) == 8
    assert encoded.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)


async def test_a_wrong_key_is_refused(simulator_url: str) -> None:
    async with AsyncOpenAI(
        api_key="wrong", base_url=f"{simulator_url}/v1", max_retries=0
    ) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model=MODEL_NAME, messages=TASK)

    assert caught.value.code == "invalid_api_key"


async def test_no_key_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/v1/models")

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_an_unknown_model_is_not_found(openai_client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await openai_client.chat.completions.create(model="gpt-0", messages=TASK)

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}",
        b'{"model": "simulator-extractive-1", "messages": []}',
        b'{"model": "simulator-extractive-1", "messages": [{"role": "alien", "content": "x"}]}',
        b'{"model": "simulator-extractive-1",'
        b' "messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}]}',
        b'{"model": "simulator-extractive-1", "messages": [{"role": "user", "content": "x"}],'
        b' "response_format": {"type": "json_object"}}',
    ],
)
async def test_a_malformed_body_is_refused(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/chat/completions", content=body, headers=KEY)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_call_without_its_answer_is_refused(openai_client: AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        *TASK,
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}}
            ],
        },
        {"role": "user", "content": "Well?"},
    ]

    with pytest.raises(openai.BadRequestError, match="tool_call_id"):
        await openai_client.chat.completions.create(model=MODEL_NAME, messages=messages)


async def test_an_unknown_route_is_said_in_json(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/v1/nothing")

    assert answer.status_code == 404
    assert "error" in answer.json()


@pytest.mark.parametrize("path", ["/", "/healthz"])
async def test_it_says_that_it_is_a_stand_in(http: httpx2.AsyncClient, path: str) -> None:
    assert (await http.get(path)).json()["stand_in"] is True


async def test_the_pages_are_there_to_fetch(http: httpx2.AsyncClient) -> None:
    page = await http.get("/pages/refund-policy")
    text = await http.get("/pages/hello.txt")

    assert page.headers["content-type"].startswith("text/html")
    assert "30 days" in page.text
    assert text.headers["content-type"].startswith("text/plain")
