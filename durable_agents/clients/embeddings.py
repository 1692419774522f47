"""The one path to an embedding model: OpenAI's `/embeddings`, as base64 of 32-bit floats.

That is a third of the bytes of a list of numbers. Servers that know only lists answer with
lists, and are understood.
"""

import asyncio
import base64
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
from pydantic import BaseModel

from durable_agents.clients.model_spans import model_span, tell_vectors
from durable_agents.clients.openai_server import CONNECT_TIMEOUT_S, OpenAIServer
from durable_agents.models.errors import ModelUnavailableError

MAX_TEXTS = 64  # in one call
TIMEOUT_S = 30
LARGEST = 65_504  # of a 16-bit float, which is what the database keeps

Vector = Sequence[float]
"""Kept as 32-bit floats: a document may have thousands of vectors, each of thousands of numbers."""


@dataclass(frozen=True)
class Embeddings:
    """The vectors of some texts in their order, all of one dimension, and what that used."""

    vectors: tuple[Vector, ...]
    input_tokens: int


class EmbeddingClient:
    """Talks to one server's embedding model; one for each process.

    Args:
        base_url: The server's address up to `/v1`; empty means OpenAI itself.
        api_key: The key; servers that want none take any.
        model: The embedding model.
    """

    def __init__(self, *, base_url: str, api_key: str, model: str) -> None:
        self._server = OpenAIServer(base_url=base_url, api_key=api_key)
        self.model = model

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def embed(self, texts: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Embeddings:
        """Ask once for the vectors of at most `MAX_TEXTS` texts.

        Raises:
            ModelUnavailableError: 408, 409, 429, 5xx, no connection, no answer in time, or an
                answer that does not hold a usable vector for each text.
            ModelAuthenticationError: The key is not accepted.
            ModelQuotaError: The account has no credit left.
            ModelRequestError: Any other refusal, for example of a model that is not there.
        """
        with model_span("embeddings", self.model, self._server.place) as span:
            found = await self._embed(texts, timeout_s)
            tell_vectors(span, len(found.vectors[0]), found.input_tokens)
        return found

    async def _embed(self, texts: Sequence[str], timeout_s: float) -> Embeddings:
        body = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        with self._server.named_failures():
            async with asyncio.timeout(timeout_s):  # the client's own is for each read
                response = await self._server.client.post(
                    "/embeddings",
                    cast_to=httpx2.Response,
                    body=body,
                    options={"timeout": httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)},
                )
        try:
            return _read(response.content, len(texts))
        except ValueError as error:
            raise ModelUnavailableError(
                f"{self._server.address} answered with something that is not a list of "
                f"embeddings ({error}); another try may go well. If it stays so, check "
                "OPENAI_BASE_URL and OPENAI_EMBEDDING_MODEL."
            ) from error


class _Item(BaseModel):
    index: int
    embedding: str | list[float]


class _Usage(BaseModel):
    prompt_tokens: int = 0


class _Answer(BaseModel):
    data: list[_Item]
    usage: _Usage | None = None


def _read(content: bytes, count: int) -> Embeddings:
    """Read an answer to `count` texts.

    Raises:
        ValueError: It does not hold one usable vector for each text.
    """
    try:
        answer = _Answer.model_validate_json(content)
    except ValueError as error:
        raise ValueError("no such JSON") from error
    items = sorted(answer.data, key=lambda item: item.index)
    if [item.index for item in items] != list(range(count)):
        raise ValueError(f"{len(items)} vectors for {count} texts")
    vectors = tuple(_vector(item.embedding) for item in items)
    if len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        raise ValueError("vectors of different lengths, or empty ones")
    used = answer.usage.prompt_tokens if answer.usage else 0
    return Embeddings(vectors, max(used, 0))


def _vector(given: str | list[float]) -> Vector:
    """A vector as numbers.

    Raises:
        ValueError: It is not one that can be stored and compared.
    """
    values = array("f", given) if isinstance(given, list) else _decoded(given)
    if not all(math.isfinite(value) and abs(value) <= LARGEST for value in values):
        raise ValueError("numbers out of range")
    if not any(values):
        raise ValueError("a vector without direction")
    return values


def _decoded(text: str) -> "array[float]":
    """The numbers that base64 stands for, which are little-endian."""
    values = array("f")
    values.frombytes(base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        values.byteswap()
    return values
