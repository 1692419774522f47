"""Remembers what was asked of the simulator: counts for each route, and the last requests."""

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass

from starlette.requests import Request

from durable_agents.simulator.json_values import JsonObject

LONGEST_LOG = 500  # requests
LONGEST_BODY = 4000  # characters of a request that are kept


@dataclass(frozen=True)
class LoggedCall:
    """One request; `fault` is the kind of fault that spoiled it, if one did.

    `at` is when it came, in seconds of a clock that only tells how far apart requests are.
    """

    number: int
    at: float
    route: str
    method: str
    path: str
    query: str
    body: str
    fault: str | None


class CallLog:
    """Counts requests, and keeps the last of them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._last: deque[LoggedCall] = deque(maxlen=LONGEST_LOG)

    def add(self, route: str, request: Request, body: bytes, fault: str | None) -> None:
        """Remember one request, and the kind of fault that spoils it."""
        self._counts[route] += 1
        self._total += 1
        trimmed = body[:LONGEST_BODY].decode("utf-8", "replace")
        self._last.append(
            LoggedCall(
                number=self._total,
                at=time.monotonic(),
                route=route,
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                body=trimmed,
                fault=fault,
            )
        )

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()
        self._last.clear()
        self._total = 0

    def listed(self, match: str = "", last: int = LONGEST_LOG) -> JsonObject:
        """Give the counts, and the last requests whose body or query contains `match`."""
        found = [call for call in self._last if match in call.body or match in call.query]
        return {
            "counts": dict(self._counts),
            "total": self._total,
            "matching": len(found),
            "requests": [asdict(call) for call in found[-last:]] if last > 0 else [],
        }
