"""Reads chat completions, as servers of all makes send them.

Nothing here trusts what came: lengths are bounded, what is missing has a default.
"""

import json
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

MAX_ANSWER_CHARS = 100_000
MAX_NAME_CHARS = 200
MAX_CALLS = 16  # in one answer; more is a model that has lost its way, and is left out
REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})
MAX_TOKENS = 2**31 - 1  # what the table of usage holds


@dataclass(frozen=True)
class RequestedCall:
    """A tool call as the model wrote it; `arguments` is JSON text, not yet checked."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ChatAnswer:
    """What the model said, and why it ended. `cut`: it ran into the limit of tokens."""

    text: str
    calls: tuple[RequestedCall, ...]
    cut: bool
    refusal: str
    model: str
    input_tokens: int
    output_tokens: int
    ended: str = "stop"


class _Function(BaseModel):
    name: str = ""
    arguments: str | None = None


class _Call(BaseModel):
    id: str | int | None = None
    function: _Function = _Function()


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Tokens(BaseModel):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str | None = ""
    usage: _Tokens | None = None


def read_answer(content: bytes, model: str) -> ChatAnswer:
    """Read the answer to a request for `model`.

    Raises:
        ValueError: It is not a chat completion.
        IndexError: It is one without an answer.
    """
    completion = _read(content)
    choice = completion.choices[0]
    said, tokens = choice.message, completion.usage or _Tokens()
    return ChatAnswer(
        text=(said.content or "")[:MAX_ANSWER_CHARS].replace("\x00", ""),
        calls=tuple(
            RequestedCall(
                call_id=str(call.id or f"call_{place}")[:MAX_NAME_CHARS],
                name=call.function.name[:MAX_NAME_CHARS],
                arguments=call.function.arguments or "{}",
            )
            for place, call in enumerate((said.tool_calls or [])[:MAX_CALLS])
        ),
        cut=choice.finish_reason == "length" or len(said.content or "") > MAX_ANSWER_CHARS,
        refusal=(said.refusal or "")[:MAX_ANSWER_CHARS],
        model=(completion.model or model)[:MAX_NAME_CHARS],
        input_tokens=_bounded(tokens.prompt_tokens),
        output_tokens=_bounded(tokens.completion_tokens),
        ended=_ended(choice),
    )


def _ended(choice: _Choice) -> str:
    """Why the answer ended: as the server says, if it says what the API knows."""
    if choice.finish_reason in REASONS:
        return choice.finish_reason
    return "tool_calls" if choice.message.tool_calls else "stop"


def _read(content: bytes) -> _Completion:
    """Read a completion; halves of surrogate pairs, which a cut answer may have, are replaced."""
    try:
        return _Completion.model_validate_json(content)
    except ValidationError:
        whole = json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8", "replace")
        return _Completion.model_validate_json(whole)


def _bounded(tokens: int | None) -> int:
    """A count of tokens that the table of usage can hold."""
    return min(max(tokens or 0, 0), MAX_TOKENS)
