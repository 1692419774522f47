"""Spans of model calls, after the GenAI conventions of OpenTelemetry.

Names and attributes: https://github.com/open-telemetry/semantic-conventions-genai, `client
inference` and `client embeddings`. The provider is `openai` for all who speak that API, as the
conventions advise; `server.address` tells them apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from durable_agents.clients.completion import ChatAnswer
from durable_agents.telemetry.spans import SPANS, Span, Value, as_json, told

PROVIDER = "openai"
LATEST = 30  # messages that are told of a long conversation, beside the instructions


def model_span(
    operation: str,
    model: str,
    server: tuple[str, int],
    *,
    agent: str = "",
    thread: int = 0,
    limit: int = 0,
    as_object: bool = False,
) -> Span:
    """The span of one call.

    Args:
        operation: `chat` or `embeddings`.
        model: Which model is asked.
        server: Where, as host and port.
        agent: Who asks.
        thread: The conversation, if it is one.
        limit: How many tokens may come out.
        as_object: Whether the answer is to be JSON.
    """
    if not SPANS.on:
        return SPANS.span("")
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "server.address": server[0],
        "server.port": server[1],
    }
    if limit:
        attributes["gen_ai.request.max_tokens"] = limit
    if agent:
        attributes["gen_ai.agent.name"] = agent
    if thread:
        attributes["gen_ai.conversation.id"] = str(thread)
    if as_object:
        attributes["gen_ai.output.type"] = "json"
    return SPANS.span(f"{operation} {model}", "client", attributes)


def tell_answer(span: Span, answer: ChatAnswer) -> None:
    """Note what came back."""
    if not SPANS.on:
        return
    reason = "length" if answer.cut else answer.ended
    span.tell(
        {
            "gen_ai.response.model": answer.model,
            "gen_ai.response.finish_reasons": [reason],
            "gen_ai.usage.input_tokens": answer.input_tokens,
            "gen_ai.usage.output_tokens": answer.output_tokens,
        }
    )
    if SPANS.contents:
        calls = [_called(call.call_id, call.name, call.arguments) for call in answer.calls]
        text = answer.text or answer.refusal
        parts = [{"type": "text", "content": text}, *calls] if text else calls
        ended = "tool_call" if reason == "tool_calls" else reason  # as messages spell it
        said = {"role": "assistant", "parts": parts, "finish_reason": ended}
        span.tell({"gen_ai.output.messages": told([said])})


def tell_vectors(span: Span, dimension: int, tokens: int) -> None:
    """Note what came of a call for vectors, which are asked for as base64."""
    span.tell(
        {
            "gen_ai.request.encoding_formats": ["base64"],
            "gen_ai.embeddings.dimension.count": dimension,
            "gen_ai.usage.input_tokens": tokens,
        }
    )


def tell_question(span: Span, messages: Sequence[Mapping[str, Any]]) -> None:
    """Note what was asked, where a setting wants the contents."""
    if SPANS.contents:
        shown = (*messages[:1], *messages[1:][-LATEST:])
        span.tell({"gen_ai.input.messages": told([_in_parts(message) for message in shown])})


def _called(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": as_json(arguments)}


def _in_parts(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the API as the conventions spell it."""
    content = message.get("content")
    if message.get("role") == "tool":
        answered = {"type": "tool_call_response", "id": message.get("tool_call_id", "")}
        return {"role": "tool", "parts": [{**answered, "response": content}]}
    parts: list[dict[str, Any]] = [{"type": "text", "content": content}] if content else []
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        given = function.get("name", ""), function.get("arguments", "")
        parts.append(_called(call.get("id", ""), *given))
    return {"role": str(message.get("role", "")), "parts": parts}
