"""Times and states in the words of people."""

from datetime import UTC, datetime, timedelta

SOON = timedelta(hours=1)
VERDICTS = {
    "pending": "Waiting",
    "approved": "Approved",
    "rejected": "Rejected",
    "expired": "Not decided in time",
    "withdrawn": "Withdrawn",
}


def span(length: timedelta) -> str:
    """A length of time: `5 min`, `3 h`, `2 days`."""
    minutes = int(abs(length).total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if hours < 3 and rest else f"{hours} h"
    return f"{minutes // (24 * 60)} days"


def ago(at: datetime) -> str:
    """How long ago something was."""
    length = datetime.now(UTC) - at
    return "just now" if length < timedelta(minutes=1) else f"{span(length)} ago"


def left(at: datetime) -> str:
    """How long there is until something, or since."""
    length = at - datetime.now(UTC)
    return f"closes in {span(length)}" if length > timedelta(0) else f"closed {span(length)} ago"


def is_soon(at: datetime | None) -> bool:
    """Whether a deadline is near or past."""
    return at is not None and at - datetime.now(UTC) < SOON


def moment(at: datetime) -> str:
    """A moment in full, for those who want it exactly."""
    return f"{at.astimezone(UTC):%d %B %Y, %H:%M} UTC"
