"""How long a server asks us to wait before the next try."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = timedelta(minutes=10)
"""A server that names more is asked again after this: it may have recovered, or be wrong."""


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Read the delay from the headers of an answer.

    Reads `retry-after-ms` (OpenAI, Azure), then `Retry-After` in seconds or as an HTTP date
    (RFC 9110, 10.2.3; decimals are taken too, since servers send them).

    Args:
        headers: Looked up in lower case; a client's own mapping ignores case.
        now: The time that a date is compared with; aware of its zone.

    Returns:
        At least zero and at most `MAX_RETRY_AFTER`; None when nothing usable is said.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None:
        seconds = _seconds_until(value, now)
    return None if seconds is None else _bounded(seconds)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds_until(value: str | None, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000" says that the zone is not known; HTTP dates are UTC
        date = date.replace(tzinfo=UTC)
    return (date - now).total_seconds()


def _bounded(seconds: float) -> timedelta:
    return timedelta(seconds=min(max(seconds, 0), MAX_RETRY_AFTER.total_seconds()))
