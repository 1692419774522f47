"""A small HTTP server on loopback that answers as a test wants it to, byte for byte."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from durable_agents.clients.http import MAX_BYTES, FetchedPage, fetch

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(
    body: bytes | str = b"", *, status: int = 200, kind: str = "text/plain", **headers: str
) -> Answer:
    """An answer as a whole; `content_encoding="gzip"` becomes the header of that name."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Because", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(content)}")

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()

    return write


UNMEASURED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


def stream(
    parts: Sequence[bytes], *, pause: float = 0, times: int = 1, start: bytes = UNMEASURED
) -> Answer:
    """An answer that does not say how long it is, sent piece by piece."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        for _ in range(times):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)

    return write


@dataclass
class Loopback:
    """The server: which answers it has, and what it was asked.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        answers: By path, without the query; anything else is a 404.
        requests: The requests as they came: first line and headers.
    """

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    requests: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://{self.pair}"

    @property
    def pair(self) -> str:
        """Its address as an allow-list names it."""
        return f"127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, then close."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            path = request.split(" ")[1].partition("?")[0]
            await self.answers.get(path, answer(status=404))(writer)
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def loopback(**answers: Answer) -> AsyncGenerator[Loopback]:
    """Run a server; `page=answer("…")` answers at /page."""
    running = Loopback(answers={f"/{name}": given for name, given in answers.items()})
    server = await asyncio.start_server(running.handle, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await server.wait_closed()


@dataclass
class FakeResolver:
    """Answers with what it was given, one list of addresses a question; the last one stays."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list[str])

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The next answer."""
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def get(server: Loopback, path: str, *, max_bytes: int = MAX_BYTES) -> FetchedPage:
    """Fetch a page of a server that is allowed to be on loopback."""
    allow = frozenset({server.pair})
    return await fetch(f"{server.url}{path}", allow=allow, max_bytes=max_bytes)
