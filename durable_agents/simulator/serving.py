"""Runs the simulator on loopback: as a process of its own, or in a thread for tests."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from durable_agents.simulator.app import create_app

HOST = "127.0.0.1"
_LONGEST_START = 10.0  # seconds


class _AnnouncingServer(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call back."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()


class SimulatorThread:
    """A simulator in a thread of this process: a context manager with the `url` it serves.

    Args:
        port: Where to listen; 0 takes any port that is free.
        latency_s: Seconds that each answer takes longer.
    """

    def __init__(self, port: int = 0, latency_s: float = 0.0) -> None:
        self._socket = _bound(port)
        self._ready = threading.Event()
        self._server = _server(latency_s, self._ready.set)
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        self._thread.start()
        if not self._ready.wait(_LONGEST_START):
            raise RuntimeError("The simulator did not start within 10 s.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, open connections included."""
        self._server.should_exit = True
        self._thread.join(_LONGEST_START)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))


def serve(
    port: int, latency_s: float, announce: Callable[[str], None], *, host: str = HOST
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is given the URL once it listens.

    Raises:
        OSError: The port is taken.
    """
    bound = _bound(port, host)
    url = f"http://{host}:{bound.getsockname()[1]}"
    server = _server(latency_s, lambda: announce(url))

    def stop(_signal: int, _frame: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal again after its shutdown, for the handlers that were there before
    # it: with the default ones the process would end by signal and not with status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    asyncio.run(server.serve(sockets=[bound]))


def _server(latency_s: float, on_ready: Callable[[], None]) -> _AnnouncingServer:
    config = uvicorn.Config(
        create_app(latency_s),
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=0,  # hanging answers are part of the job: do not wait for them
        timeout_keep_alive=75,
    )
    return _AnnouncingServer(config, on_ready)


def _bound(port: int, host: str = HOST) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer waits 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
