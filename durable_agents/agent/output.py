"""Typed answers: the schema that a model is given, and reading what it says."""

import functools
import re
from typing import Any

from pydantic import BaseModel, ValidationError

from durable_agents.clients.completion import ChatAnswer
from durable_agents.models.errors import ModelOutputError


@functools.cache
def response_format(output_type: type[BaseModel]) -> dict[str, Any]:
    """The type as a strict JSON schema in the form of the API."""
    import openai  # takes a second, and only what asks a model needs it

    function = openai.pydantic_function_tool(output_type)["function"]
    schema = {"name": function["name"], "strict": True, "schema": function.get("parameters", {})}
    return {"type": "json_schema", "json_schema": schema}


def complaint_of(output_type: type[BaseModel], answer: ChatAnswer) -> str:
    """What is wrong with an answer, for the model to read; empty when it fits."""
    try:
        parse_output(output_type, answer)
    except ModelOutputError as error:
        return f"{error.message} Answer again, with JSON that fits the schema and nothing else."
    return ""


def parse_output(output_type: type[BaseModel], answer: ChatAnswer) -> BaseModel:
    """Read an answer as the type.

    Raises:
        ModelOutputError: It does not fit; says where.
    """
    if answer.refusal:
        raise ModelOutputError(f"The model refused: {answer.refusal[:300]}")
    if answer.cut:
        raise ModelOutputError("The answer was cut at the limit of tokens; make it shorter.")
    try:
        return output_type.model_validate_json(_without_nul(_without_fence(answer.text)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise ModelOutputError(f"The answer does not fit: {where}: {first['msg']}.") from error


def _without_nul(text: str) -> str:
    """JSON whose strings hold no NUL, which the database could not keep."""
    if "\\u0000" not in text:
        return text
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1", text)


def _without_fence(text: str) -> str:
    """The JSON inside a Markdown fence, which some models put around it."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    return stripped
