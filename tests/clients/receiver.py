"""A real HTTP server on loopback that takes notifications as a service would."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Receiver:
    """What it was sent, and how it answers.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        messages: The JSON bodies, as they came.
        statuses: What it answers, one after the other; the last one stays.
        silent: Whether it takes what comes and does not answer until it is closed.
        closed: Set when it is closed.
    """

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    statuses: list[int] = field(default_factory=lambda: [200])
    silent: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "") -> str:
        """Its address as Apprise spells it."""
        return f"json://127.0.0.1:{self.port}/{path}"

    def titles(self) -> list[str]:
        """The titles of what it was sent."""
        return [message["title"] for message in self.messages]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, answer, close."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            self.messages.append(json.loads(await reader.readexactly(length)))
            if self.silent:
                await self.closed.wait()
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            lines = [f"HTTP/1.1 {status} Because", "Content-Length: 0", "Connection: close", "", ""]
            writer.write("\r\n".join(lines).encode())
            await writer.drain()
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def receiver() -> AsyncGenerator[Receiver]:
    """Run a server."""
    running = Receiver()
    server = await asyncio.start_server(running.handle, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        running.closed.set()
        server.close()
        await server.wait_closed()
