"""Shapes what the model says into OpenAI's answers: whole, or as a stream of chunks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from durable_agents.simulator import MODEL_NAME
from durable_agents.simulator.json_values import JsonObject
from durable_agents.simulator.messages import ChatRequest

CREATED = 1_775_044_800  # 2026-04-01T12:00:00Z, always: the same request has the same answer
CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English
_STREAMED_PIECE = 24  # characters in one chunk of a stream


@dataclass(frozen=True)
class Completion:
    """What the model says: text or a refusal or tool calls (name and JSON text of arguments)."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    finish_reason: str = "stop"

    def within(self, limit: int | None) -> "Completion":
        """Cut the text to a number of tokens."""
        if limit is None or self.content is None or _tokens(self.content) <= limit:
            return self
        return Completion(
            content=self.content[: limit * CHARACTERS_PER_TOKEN], finish_reason="length"
        )

    @property
    def tokens(self) -> int:
        """How many tokens the answer counts as."""
        texts = [self.content or "", self.refusal or ""]
        texts += [name + arguments for name, arguments in self.tool_calls]
        return sum(_tokens(text) for text in texts if text)


def whole_answer(completion: Completion, request: ChatRequest, body: bytes) -> JsonObject:
    """Give the body of an answer that is not streamed."""
    message: JsonObject = {
        "role": "assistant",
        "content": completion.content,
        "refusal": completion.refusal,
        "annotations": [],
    }
    if completion.tool_calls:
        message["tool_calls"] = _tool_calls(completion, body)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": completion.finish_reason,
    }
    return _envelope("chat.completion", body) | {
        "choices": [choice],
        "usage": _usage(completion, request),
    }


def streamed_answer(completion: Completion, request: ChatRequest, body: bytes) -> Iterator[str]:
    """Give an answer as server-sent events."""
    envelope = _envelope("chat.completion.chunk", body)

    def event(delta: JsonObject, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return f"data: {json.dumps(envelope | {'choices': [choice]})}\n\n"

    yield event(
        {"role": "assistant", "content": None if completion.tool_calls else "", "refusal": None}
    )
    for key, text in (("content", completion.content), ("refusal", completion.refusal)):
        for start in range(0, len(text or ""), _STREAMED_PIECE):
            yield event({key: (text or "")[start : start + _STREAMED_PIECE]})
    for index, call in enumerate(_tool_calls(completion, body)):
        arguments = call["function"]["arguments"]
        opened = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        yield event({"tool_calls": [opened]})
        yield event({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
    yield event({}, completion.finish_reason)
    if request.stream_options and request.stream_options.include_usage:
        nothing: list[JsonObject] = []
        last = envelope | {"choices": nothing, "usage": _usage(completion, request)}
        yield f"data: {json.dumps(last)}\n\n"
    yield "data: [DONE]\n\n"


def _tool_calls(completion: Completion, body: bytes) -> list[JsonObject]:
    return [
        {
            "id": f"call_{_digest(body, str(index))}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for index, (name, arguments) in enumerate(completion.tool_calls)
    ]


def _envelope(kind: str, body: bytes) -> JsonObject:
    return {
        "id": f"chatcmpl-{_digest(body, 'completion')}",
        "object": kind,
        "created": CREATED,
        "model": MODEL_NAME,
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


def _usage(completion: Completion, request: ChatRequest) -> JsonObject:
    prompt = sum(_tokens(message.text) + 4 for message in request.messages)
    prompt += sum(
        _tokens(call.function.name + call.function.arguments)
        for message in request.messages
        for call in message.tool_calls or ()
    )
    prompt += sum(20 + _tokens(tool.function.description) for tool in request.tools)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion.tokens,
        "total_tokens": prompt + completion.tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _digest(body: bytes, salt: str) -> str:
    return blake2b(body, digest_size=12, person=salt.encode()[:16]).hexdigest()
