"""What lies between a model and a tool: schemas out, arguments in, observations back."""

import hashlib
import json
from functools import cache
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from durable_agents.agent.fences import neutral, printable
from durable_agents.agent.tool import Tool
from durable_agents.models.errors import ToolArgumentsError

OBSERVATION_CHARS = 20_000
MAX_ARGUMENT_CHARS = 50_000
DIGEST_DIGITS = 12
REASONS = 4  # what is wrong with arguments, told at most


@cache
def tool_schema(tool: Tool) -> dict[str, Any]:
    """A tool as OpenAI's API offers it to a model. Shared: do not change what is returned."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": _without_titles(tool.arguments.model_json_schema()),
        },
    }


def parse_arguments(tool: Tool, json_text: str) -> BaseModel:
    """Read the arguments that a model wrote.

    Raises:
        ToolArgumentsError: They do not fit; says on one line what to change.
    """
    if len(json_text) > MAX_ARGUMENT_CHARS:
        raise ToolArgumentsError(
            f"The arguments of {tool.name} are longer than {MAX_ARGUMENT_CHARS:,} characters."
        )
    try:
        return tool.arguments.model_validate_json(json_text.strip() or "{}")
    except ValidationError as error:
        reasons = [_reason(tool, detail) for detail in error.errors(include_url=False)]
        more = [f"and {len(reasons) - REASONS} more"] if len(reasons) > REASONS else []
        told = "; ".join(reasons[:REASONS] + more)
        raise ToolArgumentsError(f"The arguments of {tool.name} do not fit: {told}.") from error


def digest(arguments: BaseModel) -> str:
    """12 hexadecimal digits that are the same for arguments that mean the same.

    How they were written does not matter, nor whether a default was, so that a tool may get a
    new argument while calls of it are under way.
    """
    meant = arguments.model_dump(mode="json", exclude_defaults=True)
    canonical = json.dumps(meant, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_DIGITS]


def render_result(tool: Tool, result: BaseModel | str, *, limit: int = OBSERVATION_CHARS) -> str:
    """A tool's result as the observation that a model reads.

    A model becomes JSON, text stays as it is. What an untrusted tool returns stands inside a
    fence, which nothing in the text can close.

    Args:
        tool: The tool that was called.
        result: What it returned.
        limit: The longest observation, in characters, with the fence and the note.
    """
    text = result if isinstance(result, str) else result.model_dump_json()
    text = printable(text)
    return fenced(tool.name, text, limit=limit) if tool.untrusted else _cut(text, limit)


def fenced(source: str, text: str, *, limit: int) -> str:
    """Text from outside inside a fence, which nothing in the text can close.

    Args:
        source: Where it comes from, in one word.
        text: The text.
        limit: How long it may be, in characters, with the fence and the note that it was cut.
    """
    opening, closing = f'<untrusted source="{source}">\n', "\n</untrusted>"
    return f"{opening}{_cut(neutral(text), limit - len(opening) - len(closing))}{closing}"


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    note = f"\n[cut: the beginning of {len(text):,} characters]"
    return text[: max(limit - len(note), 0)] + note


def _without_titles(schema: Any) -> Any:
    """Leave out the titles that Pydantic adds: a model pays for them and learns nothing."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value)
        for key, value in cast(dict[str, Any], schema).items()
        if not (key == "title" and isinstance(value, str))
    }


def _reason(tool: Tool, detail: Any) -> str:
    """One thing that is wrong, without the value: that may be long, or a secret."""
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "json_invalid":
        return f"they are not valid JSON ({detail['ctx']['error']})"
    if not where:
        return f"they must be one JSON object with {_names(tool)}"
    if detail["type"] == "extra_forbidden":
        return f"{where[:40]!r} is not an argument, use {_names(tool)}"
    if detail["type"] == "missing":
        return f"{where!r} is missing"
    said = detail["msg"].removeprefix("Value error, ")
    return f"{where!r}: {said[:1].lower()}{said[1:]}"


def _names(tool: Tool) -> str:
    return ", ".join(tool.arguments.model_fields)
