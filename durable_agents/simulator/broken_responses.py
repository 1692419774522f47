"""Answers that go wrong below the level of their content: nothing, half of something, no end."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LONGEST_HANG = 60.0  # seconds after which a hanging answer breaks its connection


class DroppedResponse(Response):
    """Promises a body, sends the beginning, and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return in the middle of a body: uvicorn then closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id": "cut', "more_body": True})


class HangingResponse(Response):
    """Sends nothing until the client goes away."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the disconnect, at most `LONGEST_HANG`; then uvicorn closes the connection."""
        try:
            async with asyncio.timeout(LONGEST_HANG):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return


def not_json_response() -> Response:
    """Give a body that claims to be JSON and breaks off."""
    return Response('{"id": "chatcmpl-', media_type="application/json")
