"""Spans of model calls: what the GenAI conventions ask for, and nothing that is a secret."""

import json
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest

from durable_agents.clients.embeddings import EmbeddingClient
from durable_agents.clients.model import ChatRequest, ModelClient
from durable_agents.telemetry.spans import LONGEST_CONTENT, SPANS
from tests.clients.loopback import answer, loopback
from tests.runtime.collector import Collector, SeenSpan, collecting, traced

KEY = "sk-" + "a1b2c3d4" * 4


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as listening:
        yield listening


async def asked(
    collector: Collector,
    messages: Sequence[dict[str, Any]],
    said: dict[str, Any],
    *,
    ended: str = "stop",
    **options: Any,
) -> SeenSpan:
    """The span of one call that tells contents, to a model that says this."""
    body = json.dumps({"choices": [{"message": said, "finish_reason": ended}]})
    with traced(collector.url, otel_instrumentation_genai_capture_message_content="true"):
        async with loopback() as server:
            server.answers["/v1/chat/completions"] = answer(body, kind="application/json")
            model = ModelClient(base_url=f"{server.url}/v1", api_key="", model="m")
            await model.chat(ChatRequest("m", list(messages), 100, 5.0, **options))
            await model.close()
    return next(one for one in collector.spans if one.name == "chat m")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def calling(arguments: str) -> dict[str, Any]:
    called = {"id": "c1", "function": {"name": "look_up", "arguments": arguments}}
    return {"content": None, "tool_calls": [called]}


def parts(span: SeenSpan, of: str) -> list[dict[str, Any]]:
    return json.loads(span.attributes[f"gen_ai.{of}.messages"])[0]["parts"]


async def test_a_secret_where_a_long_text_is_cut_is_not_told_in_part(collector: Collector) -> None:
    text = "x " * (LONGEST_CONTENT // 2 - 5) + KEY

    span = await asked(collector, [user(text)], {"content": "Yes."})

    assert KEY[:10] not in span.attributes["gen_ai.input.messages"]
    assert len(parts(span, "input")[0]["content"]) < LONGEST_CONTENT + 20


async def test_of_a_long_conversation_the_instructions_and_the_latest_are_told(
    collector: Collector,
) -> None:
    told = [user(f"message {number}") for number in range(300)]

    span = await asked(collector, [{"role": "system", "content": "Be kind."}, *told], {})

    shown = json.loads(span.attributes["gen_ai.input.messages"])
    assert len(shown) < 50
    assert shown[0]["role"] == "system"
    assert shown[-1]["parts"][0]["content"] == "message 299"


async def test_arguments_are_told_as_the_objects_that_they_are(collector: Collector) -> None:
    wanted = '{"city": "Oslo"}'

    span = await asked(collector, [user("Hm?")], calling(wanted), ended="tool_calls")

    assert parts(span, "output")[0]["arguments"] == {"city": "Oslo"}
    assert json.loads(span.attributes["gen_ai.output.messages"])[0]["finish_reason"] == "tool_call"
    assert span.attributes["gen_ai.response.finish_reasons"] == ["tool_calls"]


@pytest.mark.parametrize(
    "arguments", ["[" * 100_000, "{no json", '{"x": "\\ud83d"}', '{"n": 1e999}']
)
async def test_arguments_of_any_make_fail_no_call_and_lose_no_span(
    collector: Collector, arguments: str
) -> None:
    span = await asked(collector, [user("Hm?")], calling(arguments), ended="tool_calls")

    assert not span.failed


@pytest.mark.parametrize(
    ("ended", "told"), [("content_filter", "content_filter"), ("my secret", "stop")]
)
async def test_why_it_ended_is_what_the_server_says_where_the_api_knows_that(
    collector: Collector, ended: str, told: str
) -> None:
    span = await asked(collector, [user("Hm?")], {"content": "No."}, ended=ended)

    assert span.attributes["gen_ai.response.finish_reasons"] == [told]


async def test_a_structured_answer_is_named_as_such(collector: Collector) -> None:
    schema: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}

    span = await asked(collector, [user("Hm?")], {"content": "{}"}, response_format=schema)

    assert span.attributes["gen_ai.output.type"] == "json"


async def test_a_call_for_vectors_tells_their_form_and_tokens(collector: Collector) -> None:
    body = {"data": [{"index": 0, "embedding": [0.5, 0.5]}], "usage": {"prompt_tokens": 3}}

    with traced(collector.url):
        async with loopback() as server:
            said = answer(json.dumps(body), kind="application/json")
            server.answers["/v1/embeddings"] = said
            client = EmbeddingClient(base_url=f"{server.url}/v1", api_key="", model="e")
            await client.embed(["hello"])
            await client.close()

    span = next(one for one in collector.spans if one.name == "embeddings e")
    assert span.attributes["gen_ai.request.encoding_formats"] == ["base64"]
    assert span.attributes["gen_ai.embeddings.dimension.count"] == 2
    assert span.attributes["gen_ai.usage.input_tokens"] == 3


def test_a_span_whose_work_is_dropped_and_not_ended_is_not_sent(collector: Collector) -> None:
    """So does a run that is thrown out of memory; its next replay sends the span."""

    def work() -> Generator[None]:
        with SPANS.span("dropped"):
            yield

    with traced(collector.url):
        begun = work()
        next(begun)
        begun.close()

    assert collector.spans == []
