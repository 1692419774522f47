"""Turns text into vectors that are near for similar texts: hashed words and character trigrams.

The hashing trick of Weinberger et al. 2009 ("Feature Hashing for Large Scale Multitask
Learning"): each feature adds to one dimension, with a sign from its own hash, so that features
that share a dimension cancel out on average.
"""

import base64
import math
import struct
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from durable_agents.simulator import EMBEDDING_MODEL_NAME
from durable_agents.simulator.json_values import JsonObject
from durable_agents.simulator.sentences import key_words

USUAL_DIMENSIONS = 256
_TRIGRAM_WEIGHT = 0.25  # a word shared in full counts as much as about four trigrams


class EmbeddingsRequest(BaseModel):
    """The body of `POST /v1/embeddings`."""

    model: str
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[str], Field(min_length=1, max_length=2048)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int = Field(default=USUAL_DIMENSIONS, ge=1, le=4096)

    @property
    def texts(self) -> list[str]:
        """The input as a list."""
        return [self.input] if isinstance(self.input, str) else self.input


def embeddings_answer(request: EmbeddingsRequest) -> JsonObject:
    """Answer with one vector for each text."""
    tokens = sum(len(text) // 4 + 1 for text in request.texts)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _encoded(vector_of(text, request.dimensions), request.encoding_format),
            }
            for index, text in enumerate(request.texts)
        ],
        "model": EMBEDDING_MODEL_NAME,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def vector_of(text: str, dimensions: int = USUAL_DIMENSIONS) -> list[float]:
    """Give the vector of a text, of length 1; a text without words points along the first axis."""
    words = Counter(key_words(text))
    vector = [0.0] * dimensions
    for word, count in words.items():
        weight = 1 + math.log(count)
        _add(vector, f"w {word}", weight)
        padded = f" {word} "
        for start in range(len(padded) - 2):
            _add(vector, f"t {padded[start : start + 3]}", weight * _TRIGRAM_WEIGHT)
    length = math.sqrt(sum(value * value for value in vector))
    if not length:
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def _add(vector: list[float], feature: str, weight: float) -> None:
    number = _hash_of(feature)
    vector[(number >> 1) % len(vector)] += weight if number & 1 else -weight


@lru_cache(maxsize=65_536)
def _hash_of(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "big")


def _encoded(vector: list[float], form: str) -> Any:
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
