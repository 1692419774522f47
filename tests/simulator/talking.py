"""Conversations with the simulator's model, without HTTP between."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel

from durable_agents.simulator import MODEL_NAME
from durable_agents.simulator.chat import complete, read_request
from durable_agents.simulator.completions import Completion


def tool(name: str, purpose: str = "", /, **fields: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    function = {"name": name, "description": purpose, "parameters": parameters}
    return {"type": "function", "function": function}


Output = TypeVar("Output", bound=BaseModel)
TEXT: dict[str, Any] = {"type": "string"}
NULLABLE: dict[str, Any] = {"anyOf": [TEXT, {"type": "null"}]}
PRIORITY: dict[str, Any] = {"type": "string", "enum": ["low", "medium", "high"]}
TOOLS: list[dict[str, Any]] = [
    tool("calculate", "Works out arithmetic.", expression=TEXT),
    tool("get_weather", "The weather of a city.", city=TEXT),
    tool("fetch_url", "Reads a page.", url=TEXT),
    tool("search_knowledge", "Searches our documents.", query=TEXT),
    tool("lookup_account", "Looks up an account.", account_id=TEXT),
    tool(
        "file_ticket",
        "Files a ticket.",
        subject=TEXT,
        description=TEXT,
        account_id=NULLABLE,
        priority=PRIORITY,
    ),
]
OSLO = {
    "city": "Oslo",
    "country": "Norway",
    "temperature_c": 4.2,
    "wind_kmh": 12.0,
    "precipitation_mm": 0.4,
    "condition": "light rain",
}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def say(messages: list[dict[str, Any]] | str, **options: Any) -> Completion:
    """What the model says to these messages."""
    given = [user(messages)] if isinstance(messages, str) else messages
    body = {"model": MODEL_NAME, "messages": given, **options}
    return complete(read_request(json.dumps(body).encode()))


def planned(
    messages: list[dict[str, Any]] | str, tools: list[dict[str, Any]] | None = None, **options: Any
) -> list[tuple[str, dict[str, Any]]]:
    """The calls the model makes, with their arguments parsed."""
    completion = say(messages, tools=TOOLS if tools is None else tools, **options)
    return [(name, json.loads(arguments)) for name, arguments in completion.tool_calls]


def called(
    *calls: tuple[str, dict[str, Any], object], fenced: bool = False
) -> list[dict[str, Any]]:
    """An assistant's message with calls, and the tools' answers."""
    ids = [f"call {name} {json.dumps(given)}" for name, given, _ in calls]
    asked = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for i, (n, a, _) in zip(ids, calls, strict=True)
    ]
    answers: list[dict[str, Any]] = []
    for call_id, (name, _, result) in zip(ids, calls, strict=True):
        text = result if isinstance(result, str) else json.dumps(result)
        if fenced:
            text = f'<untrusted source="{name}">\n{text}\n</untrusted>'
        answers.append({"role": "tool", "tool_call_id": call_id, "content": text})
    return [{"role": "assistant", "content": None, "tool_calls": asked}, *answers]


def typed(messages: list[dict[str, Any]] | str, output: type[Output]) -> Output:
    """A structured answer, parsed into its type."""
    schema = {"name": output.__name__, "schema": output.model_json_schema()}
    response_format = {"type": "json_schema", "json_schema": schema}
    said = say(messages, response_format=response_format).content
    return output.model_validate_json(said or "")
