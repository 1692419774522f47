"""What passes between a workflow and the step that notifies."""

from typing import Literal

from pydantic import Field

from durable_agents.models.base import Record

NotificationStatus = Literal["sent", "kept", "failed", "uncertain"]
"""Kept: in the outbox and the log only, because no address is configured. Uncertain: a crash or
a silence came between sending and noting it, so it may have arrived."""


class NotifyInput(Record):
    """What to tell whom; under one `key` it is told once."""

    key: str = Field(min_length=1, max_length=300)
    user_id: str = ""
    title: str = Field(min_length=1, max_length=200)
    body: str = Field(default="", max_length=2000)


class NotifyOutcome(Record):
    """How it went; `error` says why it failed or why nobody knows."""

    status: NotificationStatus
    error: str = ""
