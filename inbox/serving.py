"""Serves the page: the socket, the server, and when it stops."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Sequence

import uvicorn
from starlette.applications import Starlette

from durable_agents.models.errors import ConfigurationError

GRACE_S = 5


def listen(host: str, port: int) -> socket.socket:
    """Take the port of the page; 0 takes any that is free.

    Raises:
        ConfigurationError: It cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"Port {port} for the reviewers' page is taken: something else listens there; "
                "set INBOX_PORT to a free port (0 takes any)."
            ) from error
        raise ConfigurationError(
            f"The reviewers' page cannot be shown at {host}:{port} ({error.strerror}): "
            "correct INBOX_HOST and INBOX_PORT."
        ) from error


async def serve(
    app: Starlette,
    listening: socket.socket,
    *,
    proxies: Sequence[str] = (),
    on_ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: What answers.
        listening: Where.
        proxies: Whose X-Forwarded-For is believed. Nobody's unless named: the limit on signing
            in counts by address, and who may choose their address has no limit.
        on_ready: Called once it listens.

    Raises:
        ConfigurationError: The page cannot be prepared; another try may help.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config, on_ready)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    try:
        await server.serve([listening])
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    def stop(self) -> None:
        """Answer what was asked, then end."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self):
        """Leave them to whoever serves."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call back.

        Raises:
            ConfigurationError: The page cannot be prepared; another try may help.
        """
        try:
            await super().startup(sockets)
        except SystemExit as ended:  # by which uvicorn would end the process, without a sentence
            raise ConfigurationError(
                "The reviewers' page did not start: the lines above say why; most often the "
                "database is not there. `durable-agents doctor` looks at all parts.",
                may_pass=True,  # it answered a moment ago
            ) from ended
        if self.started:
            self._on_ready()
