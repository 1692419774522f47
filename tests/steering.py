"""Steers the simulator: asks it for faults, and reads what it was asked."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2


class Simulator:
    """The simulator that the session's workers use.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.AsyncClient(base_url=url, timeout=10, trust_env=False)

    @asynccontextmanager
    async def faults(self, match: str, *faults: dict[str, Any]) -> AsyncGenerator[None]:
        """Let requests that contain `match` meet these faults, one after the other.

        A fault is what `POST /_faults` takes, without `match`. What is left is cleared at the end.
        """
        for fault in faults:
            await self.ask_for({**fault, "match": match})
        try:
            yield
        finally:
            await self.forget(match)

    async def ask_for(self, fault: dict[str, Any]) -> None:
        """Ask for a fault: what `POST /_faults` takes."""
        answer = await self._http.post("/_faults", json=fault)
        assert answer.status_code == 200, answer.text

    async def faults_left(self) -> list[dict[str, Any]]:
        """The faults that nobody has met yet."""
        return list((await self._http.get("/_faults")).json()["faults"])

    async def forget(self, match: str) -> None:
        """Let no request that contains `match` meet a fault any more."""
        await self._http.delete("/_faults", params={"match": match})

    async def calls(self, match: str, route: str = "chat") -> list[dict[str, Any]]:
        """The latest requests of a route that contain `match`, oldest first."""
        answer = await self._http.get("/_calls", params={"match": match})
        return [call for call in answer.json()["requests"] if call["route"] == route]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
