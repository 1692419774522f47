"""Faults on demand: what the next answers get wrong, kept until they are used up."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from durable_agents.simulator.json_values import JsonObject

Route = Literal["chat", "embeddings", "weather"]
Kind = Literal[
    "status",
    "latency",
    "cut_short",
    "invalid_json",
    "nonsense",
    "empty",
    "refusal",
    "drop",
    "hang",
    "loop",
    "too_long",
    "bad_arguments",
    "unknown_tool",
    "obey",
]
_ONLY_CHAT = frozenset(
    {"cut_short", "refusal", "loop", "too_long", "bad_arguments", "unknown_tool", "obey"}
)


class RetryAfter(BaseModel):
    """When to try again, in one of the forms servers use.

    `ms` is the header `retry-after-ms`; `seconds` and `date` are `Retry-After`, the date being
    `value` seconds from now.
    """

    model_config = ConfigDict(extra="forbid")

    form: Literal["ms", "seconds", "date"] = "seconds"
    value: float = 1

    def headers(self) -> dict[str, str]:
        """The header that says it."""
        if self.form == "ms":
            return {"retry-after-ms": f"{self.value:g}"}
        if self.form == "seconds":
            return {"retry-after": f"{self.value:g}"}
        moment = datetime.now(UTC) + timedelta(seconds=self.value)
        return {"retry-after": format_datetime(moment, usegmt=True)}


class Fault(BaseModel):
    """What goes wrong, where, and how often; the body of `POST /_faults`.

    `times` is how many answers it spoils (-1: until cleared), `match` a text that the request's
    body (or its query) must contain, `text` what a content fault says instead of its own words.
    """

    model_config = ConfigDict(extra="forbid")

    route: Route | Literal["*"] = "chat"
    times: int = Field(default=1, ge=-1)
    kind: Kind = "status"
    status: int = Field(default=500, ge=300, le=599)
    retry_after: RetryAfter | None = None
    should_retry: bool | None = None
    error_code: str | None = None
    latency_s: float = Field(default=0, ge=0, le=600)
    match: str = ""
    text: str | None = None

    @model_validator(mode="after")
    def _fits_its_route(self) -> "Fault":
        if self.kind in _ONLY_CHAT and self.route not in {"chat", "*"}:
            raise ValueError(f"kind {self.kind} is for the route chat only")
        return self

    def applies_to(self, route: Route, request_text: str) -> bool:
        """Tell whether this fault spoils this request."""
        return (
            self.times != 0
            and self.route in {route, "*"}
            and (route == "chat" or self.kind not in _ONLY_CHAT)
            and self.match in request_text
        )

    def headers(self) -> dict[str, str]:
        """The headers that a failing server adds."""
        headers = self.retry_after.headers() if self.retry_after else {}
        if self.should_retry is not None:
            headers["x-should-retry"] = "true" if self.should_retry else "false"
        return headers


class FaultBook:
    """The faults that are still to happen, in the order they were asked for."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Ask for a fault."""
        self._faults.append(fault)

    def take(self, route: Route, request_text: str) -> Fault | None:
        """Give the first fault for this request, and count it as used."""
        for fault in self._faults:
            if fault.applies_to(route, request_text):
                if fault.times > 0:
                    fault.times -= 1
                self._faults = [left for left in self._faults if left.times != 0]
                return fault
        return None

    def clear(self, match: str | None = None) -> None:
        """Forget every fault, or those that have this `match`."""
        self._faults = [f for f in self._faults if match is not None and f.match != match]

    def listed(self) -> list[JsonObject]:
        """The faults that are left."""
        return [fault.model_dump(mode="json") for fault in self._faults]
