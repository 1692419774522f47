"""A small proxy on loopback in front of a server, by which the network to it is cut."""

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from durable_agents.runtime.embedded.ports import LOOPBACK

Manner = Literal["refused", "reset", "silent", "forgotten"]
MANNERS: tuple[Manner, ...] = ("refused", "reset", "silent", "forgotten")

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends a reset


class Cut:
    """Passes bytes on to a server, unless it is told not to.

    `refused`: nothing listens, and open connections end. `reset`: each connection is torn down.
    `silent`: nothing arrives any more, and what was under way arrives when that is over, as
    packets do that are sent again. `forgotten`: the same, but connections that were open then stay
    silent for ever, as when a machine between has lost its memory; new ones work.

    Args:
        server: The port of the server on loopback, or the path of its socket.
    """

    def __init__(self, server: int | Path) -> None:
        self._server = server
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._over = asyncio.Event()
        self._is_reset = False
        self._open: set[StreamWriter] = set()
        self._forgotten: set[StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Cut"]:
        """Listen on a free port."""
        await self._listen()
        try:
            yield self
        finally:
            self._over.set()
            self._flowing.set()
            await self._stop_listening()
            self._drop_all()

    async def begin(self, manner: Manner) -> None:
        """Cut."""
        if manner in {"silent", "forgotten"}:
            self._flowing.clear()
            if manner == "forgotten":
                self._forgotten |= self._open
            return
        self._is_reset = manner == "reset"
        if manner == "refused":
            await self._stop_listening()
        self._drop_all()

    async def end(self) -> None:
        """Bring the network back."""
        self._is_reset = False
        self._flowing.set()
        if self._listening is None:
            await self._listen()

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        self.port = int(self._listening.sockets[0].getsockname()[1])

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._is_reset:
            _tear_down(writer)
            return
        try:
            there, back = await self._connect()
        except OSError:
            _tear_down(writer)
            return
        ends = {writer, back}
        self._open |= ends
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._open -= ends
            self._forgotten -= ends
            for end in ends:
                end.close()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        if isinstance(self._server, Path):
            return await asyncio.open_unix_connection(str(self._server))
        return await asyncio.open_connection(LOOPBACK, self._server)

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                if writer in self._forgotten:
                    await self._over.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def _drop_all(self) -> None:
        for writer in list(self._open):
            _tear_down(writer)


def _tear_down(writer: StreamWriter) -> None:
    """End a connection with a reset."""
    opened: socket.socket | None = writer.get_extra_info("socket")
    if opened is not None and opened.family == socket.AF_INET:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
