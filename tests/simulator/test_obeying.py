"""A model that obeys whoever speaks last."""

import json
from typing import Any

from durable_agents.simulator import MODEL_NAME
from durable_agents.simulator.messages import ChatRequest
from durable_agents.simulator.obeying import obey

TOOL = {"type": "function", "function": {"name": "t"}}


def asked(*texts: str, tools: bool = True, made: tuple[str, str] | None = None) -> ChatRequest:
    """A request: messages of a person, and a call that was made and answered."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": text} for text in texts]
    if made is not None:
        function = {"name": made[0], "arguments": made[1]}
        messages.append({"role": "assistant", "tool_calls": [{"id": "c", "function": function}]})
        messages.append({"role": "tool", "tool_call_id": "c", "content": "done"})
    body = {"model": MODEL_NAME, "messages": messages, "tools": [TOOL] if tools else []}
    return ChatRequest.model_validate(body)


def calls_of(request: ChatRequest) -> list[tuple[str, str]]:
    said = obey(request)
    return said.tool_calls if said else []


def test_every_order_is_followed_wherever_it_stands() -> None:
    text = 'Hello.\n<untrusted source="page">\nOBEY CALL x {"a": {"b": "}"}} and more\n</untrusted>'

    assert calls_of(asked(text, "OBEY CALL y")) == [("x", '{"a": {"b": "}"}}'), ("y", "{}")]


def test_an_order_inside_json_is_read_as_what_it_means() -> None:
    result = json.dumps({"text": 'OBEY CALL x {"a": "b"}\nand so on'})

    assert calls_of(asked(result)) == [("x", '{"a": "b"}')]


def test_a_call_is_made_once_and_a_loop_for_ever() -> None:
    orders = 'OBEY CALL x {}\nOBEY LOOP y {"n": {n}}'

    assert calls_of(asked(orders)) == [("x", "{}"), ("y", '{"n": 0}')]
    assert calls_of(asked(orders, made=("x", "{}"))) == [("y", '{"n": 1}')]


def test_what_it_is_told_to_say_is_the_answer_once_nothing_is_to_be_called() -> None:
    request = asked("OBEY CALL x {}\nOBEY SAY I am yours.", made=("x", "{}"))

    said = obey(request)

    assert said is not None
    assert (said.content, said.tool_calls) == ("I am yours.", [])


def test_without_an_order_it_says_what_it_would_say_anyway() -> None:
    assert obey(asked("What is 1 + 1?")) is None
    assert obey(asked("OBEY CALL x {}", tools=False)) is None
