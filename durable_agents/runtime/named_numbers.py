"""Settings that are numbers by name, such as `acme=5,small=1`."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_QUOTA_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def read_named_numbers(text: Any) -> Any:
    """Read `NAME=NUMBER,…`; what is not text is left as it is.

    Raises:
        ValueError: A part cannot be read; says which.
    """
    if not isinstance(text, str):
        return text
    numbers: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.rpartition("=")
        try:
            numbers[name.strip()] = float(number)
        except ValueError:
            raise ValueError(f"write NAME=NUMBER,... and not {part[:60]!r}") from None
    return numbers


def _positive(numbers: Mapping[str, float]) -> Mapping[str, float]:
    for name, number in numbers.items():
        if not name or not math.isfinite(number) or number <= 0:
            raise ValueError(f"{name[:60]!r} needs a name, and a number above 0")
    return numbers


def _for_queues(numbers: Mapping[str, float]) -> Mapping[str, float]:
    for name in numbers:
        if not _QUOTA_NAME.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is no name for a queue: use a-z, 0-9 and dashes")
    return numbers


NamedNumbers = Annotated[
    Mapping[str, float], BeforeValidator(read_named_numbers), AfterValidator(_positive)
]
"""A positive number for each name."""

QuotaNumbers = Annotated[NamedNumbers, AfterValidator(_for_queues)]
"""The same for names that become part of the names of task queues."""
