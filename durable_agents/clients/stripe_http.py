"""Stripe's library on the HTTP client that the project has already; it never retries."""

from collections.abc import Awaitable, Mapping
from typing import Any

import httpx2
import stripe


class Httpx2Client(stripe.HTTPClient):
    """Sends what Stripe's library asks for.

    Args:
        http: The client; its timeout is the one that holds.
    """

    name = "httpx2"

    def __init__(self, http: httpx2.AsyncClient) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - untyped there
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request.

        Raises:
            stripe.APIConnectionError: No answer came.
        """
        try:
            answer = await self._http.request(
                method, url, headers=dict(headers), content=post_data or None
            )
        except httpx2.TransportError as error:
            raise stripe.APIConnectionError(
                f"no answer came ({type(error).__name__})", should_retry=False
            ) from error
        return answer.content, answer.status_code, answer.headers

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Never asked for: it does not retry."""
        raise NotImplementedError

    async def close_async(self) -> None:
        """Close connections."""
        await self._http.aclose()
