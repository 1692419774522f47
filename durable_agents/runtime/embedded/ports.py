"""Ports on loopback: one that is free, one that is asked for, and whether a server answers."""

import asyncio
import errno
import socket
from contextlib import suppress

from durable_agents.models.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


def choose_port(wanted: int, *, variable: str, purpose: str) -> int:
    """Give the port that a part will listen on.

    Args:
        wanted: The port from the settings; 0 takes any that is free.
        variable: The environment variable that sets it.
        purpose: What will listen there, for the error.

    Raises:
        ConfigurationError: Something else listens there.
    """
    if wanted == 0:
        return free_port()
    if _is_taken(wanted):
        raise ConfigurationError(
            f"Port {wanted} for {purpose} is taken: something else listens there; "
            f"set {variable} to a free port (0 takes any)."
        )
    return wanted


def free_port() -> int:
    """Give a port that nothing listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


async def answers(port: int, *, path: str = "") -> bool:
    """Whether a server accepts connections, and with a path, answers GET with 200."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        if not path:
            return True
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}:{port}\r\n\r\n".encode())
        status = await reader.readline()
        return status.split()[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _is_taken(port: int) -> bool:
    # On macOS a bind succeeds beside a server on the wildcard address: connect as well.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        caller.settimeout(0.5)
        if caller.connect_ex((LOOPBACK, port)) == 0:
            return True
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
