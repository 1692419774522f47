"""Reads parsed JSON with types: what is not as expected is empty instead."""

import json
from typing import Any, cast

JsonObject = dict[str, Any]


def object_in(value: object) -> JsonObject:
    """Give `value` if it is a JSON object, else an empty one."""
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def list_in(value: object) -> list[Any]:
    """Give `value` if it is a JSON array, else an empty one."""
    return cast(list[Any], value) if isinstance(value, list) else []


def text_in(value: object) -> str:
    """Give `value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def parsed(text: str) -> object:
    """Parse `text` as JSON; None when it is none."""
    try:
        return cast(object, json.loads(text))
    except ValueError:
        return None


def canonical(value: object) -> str:
    """Write `value` so that equal values are equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
