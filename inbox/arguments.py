"""The arguments of a tool call: as a person reads them, and as a form gives them back.

Text, numbers and yes-or-no have a field each; anything else is edited as JSON. What comes back
keeps the type that it had.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from durable_agents.models.errors import InputError
from inbox.revealing import reveal

PREFIX = "argument."
SHORT = 60  # characters that fit into a field of one line

Form = Literal["line", "text", "number", "choice", "json"]


@dataclass(frozen=True)
class Field:
    """An argument: its name, what it is called for people, how it is edited, its text."""

    name: str
    label: str
    form: Form
    text: str

    @property
    def shown(self) -> str:
        """The text with nothing hidden in it."""
        return reveal(self.text)


def fields_of(arguments: Mapping[str, Any]) -> list[Field]:
    """The arguments, in their order."""
    return [
        Field(name, _label(name), _form_of(value), _text_of(value))
        for name, value in arguments.items()
    ]


def edited(arguments: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The arguments as a form gives them back; what it does not name stays.

    Args:
        arguments: Those that were asked for.
        given: The fields of the form.

    Raises:
        InputError: A value does not fit; says which.
    """
    return {
        name: _value_of(name, value, given[PREFIX + name]) if PREFIX + name in given else value
        for name, value in arguments.items()
    }


def _form_of(value: object) -> Form:
    if isinstance(value, bool):
        return "choice"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "line" if len(value) <= SHORT and "\n" not in value else "text"
    return "json"


def _text_of(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2)


def _value_of(name: str, value: object, text: str) -> Any:
    if isinstance(value, bool):
        if text not in {"yes", "no"}:
            raise InputError(f"{_label(name)}: choose yes or no.")
        return text == "yes"
    if isinstance(value, str):
        return text
    if text == _text_of(value):
        return value
    try:
        parsed: object = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        what = "a number" if isinstance(value, int | float) else "JSON"
        raise InputError(f"{_label(name)}: {text[:40]!r} is not {what}.") from error
    if isinstance(value, int | float) and not _is_number(parsed):
        raise InputError(f"{_label(name)}: {text[:40]!r} is not a number.")
    return parsed


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _no_number(name: str) -> float:
    raise ValueError(name)


def _label(name: str) -> str:
    words = name.replace("_", " ").strip()
    return reveal(words[:1].upper() + words[1:])
