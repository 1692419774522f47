"""The embedding client over HTTP, with the simulator as the server and its faults."""

import base64
import json
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from durable_agents.clients.embeddings import EmbeddingClient
from durable_agents.models.errors import (
    DurableAgentsError,
    ModelAuthenticationError,
    ModelQuotaError,
    ModelRequestError,
    ModelUnavailableError,
)
from durable_agents.runtime.settings import Settings
from tests.clients.loopback import answer, loopback
from tests.steering import Simulator
from tests.workflows.runs import token


@pytest.fixture
async def model(settings: Settings) -> AsyncIterator[EmbeddingClient]:
    opened = EmbeddingClient(
        base_url=settings.openai_base_url, api_key="any", model=settings.openai_embedding_model
    )
    yield opened
    await opened.close()


def encoded(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def asked(body: object, texts: Sequence[str] = ("one", "two")) -> Any:
    async with loopback() as server:
        server.answers["/v1/embeddings"] = answer(json.dumps(body), kind="application/json")
        client = EmbeddingClient(base_url=f"{server.url}/v1", api_key="any", model="m")
        try:
            return await client.embed(texts)
        finally:
            await client.close()


async def test_texts_get_vectors_in_their_order_and_tokens_are_counted(
    model: EmbeddingClient,
) -> None:
    found = await model.embed(["refunds take a week", "rain in Norway", "a refund takes a week"])

    near = [sum(a * b for a, b in zip(found.vectors[0], v, strict=True)) for v in found.vectors]
    assert [len(vector) for vector in found.vectors] == [256] * 3
    assert near[0] == pytest.approx(1, abs=1e-5)
    assert near[2] > near[1] + 0.3
    assert found.input_tokens > 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 400}, ModelRequestError),
        ({"status": 401}, ModelAuthenticationError),
        ({"status": 404}, ModelRequestError),
        ({"status": 429}, ModelUnavailableError),
        ({"status": 429, "error_code": "insufficient_quota"}, ModelQuotaError),
        ({"status": 500}, ModelUnavailableError),
        ({"kind": "drop"}, ModelUnavailableError),
        ({"kind": "invalid_json"}, ModelUnavailableError),
    ],
    ids=str,
)
async def test_a_failure_is_named_by_what_can_be_done_and_never_tried_again_here(
    model: EmbeddingClient,
    simulator: Simulator,
    fault: dict[str, Any],
    error: type[DurableAgentsError],
) -> None:
    word = token()

    async with simulator.faults(word, {**fault, "route": "embeddings", "times": -1}):
        with pytest.raises(DurableAgentsError) as raised:
            await model.embed([word])

    assert type(raised.value) is error
    assert len(await simulator.calls(word, "embeddings")) == 1


async def test_no_answer_in_time_is_worth_another_try(
    model: EmbeddingClient, simulator: Simulator
) -> None:
    word = token()

    async with simulator.faults(word, {"kind": "hang", "route": "embeddings"}):
        with pytest.raises(ModelUnavailableError, match="in time"):
            await model.embed([word], timeout_s=0.3)


async def test_a_server_that_answers_with_lists_in_another_order_is_understood() -> None:
    data = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1.5, 0]}]

    found = await asked({"data": data})

    assert [list(vector) for vector in found.vectors] == [[1.5, 0], [0, 1]]
    assert found.input_tokens == 0


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [0.0]}, {"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1e6]}, {"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": encoded([float("nan")])}, {"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": "%%%"}, {"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": "QUJD"}, {"index": 1, "embedding": [1.0]}],
    ],
    ids=str,
)
async def test_what_cannot_be_stored_and_compared_is_worth_another_try(data: object) -> None:
    with pytest.raises(ModelUnavailableError, match="not a list of embeddings"):
        await asked({"data": data})
