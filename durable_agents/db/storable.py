"""What PostgreSQL can keep: text without NUL characters and without halves of surrogate pairs.

Models, tools, web pages and people send both, and secrets as well, which are not kept either. The
engine applies this to every value of every statement, so that no caller has to think of it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from durable_agents.telemetry.redaction import SECRETS

REPLACEMENT = "\ufffd"  # not left out: else an id with a NUL would be taken for another id


def storable(text: str) -> str:
    """The text with U+FFFD for what cannot be kept; two halves that belong together are joined."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def storable_json(value: Any) -> str:
    """A value as JSON that a JSONB column can keep; in it, NUL and halves hide behind escapes.

    A number that is none, or that has no end, becomes null, as Pydantic writes it: JSON has no
    word for it.
    """
    try:
        written = json.dumps(value, allow_nan=False)
    except ValueError:
        value = _finite(value)
        written = json.dumps(value)
    if "\\u0000" in written or "\\ud" in written:
        return json.dumps(_cleaned(value))
    return written


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast(Sequence[Any], value)]
    return value


def keep_storable(engine: AsyncEngine) -> None:
    """Have the engine clean what statements are given; JSON columns need `storable_json`."""
    event.listen(engine.sync_engine, "before_cursor_execute", _clean_parameters, retval=True)


def _clean_parameters(
    _connection: object,
    _cursor: object,
    statement: str,
    parameters: Any,
    _context: object,
    _executemany: bool,
) -> tuple[str, Any]:
    return statement, _cleaned(parameters)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return SECRETS.redact_stored(storable(value))
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {_cleaned(name): _cleaned(item) for name, item in items}
    if isinstance(value, list):
        return [_cleaned(item) for item in cast(list[Any], value)]
    if isinstance(value, tuple):
        return tuple(_cleaned(item) for item in cast(tuple[Any, ...], value))
    return value
