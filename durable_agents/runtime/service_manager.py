"""Tells the service manager how a service is, by systemd's protocol for readiness.

NOTIFY_SOCKET names a socket of datagrams; one datagram is lines of NAME=VALUE (`sd_notify(3)`).
Where the variable is not set, nothing is told: nobody asked.
"""

import logging
import os
import socket
from collections.abc import MutableMapping

from durable_agents.models.errors import ConfigurationError

SEND_TIMEOUT_S = 1  # the manager's socket may be full

_LOG = logging.getLogger(__name__)


class ServiceManager:
    """What started this process and wants to know how it is.

    Args:
        address: Its socket: a path, or `@NAME` for an abstract one; empty when nobody listens.
        watchdog_s: Within how many seconds it wants to hear of us; 0 when it does not.
    """

    def __init__(self, address: str = "", *, watchdog_s: float = 0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s if address else 0

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> "ServiceManager":
        """Read what the manager says, and take it out: it is not meant for our own processes.

        Raises:
            ConfigurationError: The variables cannot be used.
        """
        given = os.environ if environ is None else environ
        address = given.pop("NOTIFY_SOCKET", "")
        interval, pid = given.pop("WATCHDOG_USEC", ""), given.pop("WATCHDOG_PID", "")
        if address[:1] not in {"", "/", "@"}:
            raise ConfigurationError(
                f"NOTIFY_SOCKET is not usable: {address} is neither a path nor @NAME. "
                "The service manager sets it; unset it where there is none."
            )
        if pid not in {"", str(os.getpid())}:
            interval = ""  # meant for another process
        if interval and not interval.isdecimal():
            raise ConfigurationError(
                f"WATCHDOG_USEC is not usable: {interval} is no number of microseconds. "
                "The service manager sets it; unset it where there is none."
            )
        return cls(address, watchdog_s=int(interval or 0) / 1e6)

    def ready(self, status: str) -> None:
        """The service does its work."""
        self._tell("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for people: how it is now."""
        self._tell(_status(status))

    def starting(self, status: str, *, within_s: float) -> None:
        """It still starts; the manager is asked to give it that much time from now."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}", _status(status))

    def stopping(self, status: str, *, within_s: float) -> None:
        """It ends; the manager is asked for that much time, if it would give less."""
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}", _status(status))

    def alive(self) -> None:
        """It still runs its loop."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        """Send one datagram. That nobody takes it is no reason to stop working."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.settimeout(SEND_TIMEOUT_S)
                sending.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _LOG.warning("The service manager does not hear %s: %s", lines[0], error)


def _status(sentence: str) -> str:
    return f"STATUS={' '.join(sentence.split())}"
