"""Brings text and numbers within the bounds that a JSON schema sets."""

import math

from durable_agents.simulator.json_values import JsonObject
from durable_agents.simulator.named_values import Field, is_share
from durable_agents.simulator.sentences import shortened

UNKNOWN = "unknown"


def text_within(schema: JsonObject, text: str) -> str:
    """Keep a text between the lengths that its schema allows."""
    most = schema.get("maxLength")
    if isinstance(most, int) and len(text) > most:
        text = shortened(text, most)
    least = int(schema.get("minLength", 0))
    while len(text) < least:
        text = (
            f"{text} {text or UNKNOWN}".strip() if len(text) * 2 < least else text.ljust(least, ".")
        )
    return text[:most] if isinstance(most, int) else text


def number_within(schema: JsonObject, field: Field, value: float | None) -> int | float:
    """Bring a number into its range; shares of 0 to 1 are stretched over a wider one."""
    whole = schema.get("type") == "integer"
    step = float(schema.get("multipleOf") or (1 if whole else 0))
    least = _bound(schema, "minimum", "exclusiveMinimum", step or 1e-3)
    most = _bound(schema, "maximum", "exclusiveMaximum", -(step or 1e-3))
    number = float(schema.get("default") or 0) if value is None else value
    if value is not None and is_share(field.name) and 0 <= value <= 1:
        if most is not None and most > 1:
            number = (least or 0) + value * (most - (least or 0))
        elif whole and most is None:
            number = value * 100
    if value is not None and value < 0 and least is not None and least >= 0 and (most or 1) <= 1:
        number = (value + 1) / 2
    number = max(number, least) if least is not None else number
    number = min(number, most) if most is not None else number
    if step:
        number = round(number / step) * step
        number = (
            math.ceil((least or 0) / step) * step
            if least is not None and number < least
            else number
        )
        number = (
            math.floor((most or 0) / step) * step if most is not None and number > most else number
        )
    return int(number) if whole else round(number, 4)


def _bound(schema: JsonObject, inclusive: str, exclusive: str, step: float) -> float | None:
    if isinstance(schema.get(inclusive), int | float):
        return float(schema[inclusive])
    if isinstance(schema.get(exclusive), int | float):
        return float(schema[exclusive]) + step
    return None
