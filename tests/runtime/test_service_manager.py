"""What a service manager is told, on a socket such as systemd's."""

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    """A socket of datagrams, and how NOTIFY_SOCKET names it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound,
    ):
        name = f"@da-{secrets.token_hex(8)}"
        address = name if request.param == "abstract" else str(Path(folder) / "notify")
        bound.bind("\0" + name[1:] if request.param == "abstract" else address)
        bound.settimeout(2)
        yield bound, address


def test_each_message_is_one_datagram_of_lines(listening: tuple[socket.socket, str]) -> None:
    bound, address = listening
    manager = ServiceManager(address)

    manager.ready("all\npoll")
    manager.status("half")
    manager.alive()
    manager.stopping("draining", within_s=2.5)

    told = [bound.recv(4096).decode() for _ in range(4)]
    assert told == [
        "READY=1\nSTATUS=all poll",
        "STATUS=half",
        "WATCHDOG=1",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=2500000\nSTATUS=draining",
    ]


def test_where_nobody_listens_nothing_happens(tmp_path: Path) -> None:
    ServiceManager().ready("to nobody")
    ServiceManager(str(tmp_path / "gone")).ready("to somebody who has gone")


def test_what_the_manager_says_is_not_handed_on_to_our_own_processes() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "HOME": "/"}
    environ["WATCHDOG_PID"] = str(os.getpid())

    manager = ServiceManager.from_environment(environ)

    assert manager.watchdog_s == 3
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "3000000"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
    ],
)
def test_nobody_waits_for_a_sign_of_life_that_was_not_asked_for(environ: dict[str, str]) -> None:
    assert ServiceManager.from_environment(environ).watchdog_s == 0


@pytest.mark.parametrize(
    "environ",
    [
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"},
    ],
)
def test_variables_that_cannot_be_used_are_named(environ: dict[str, str]) -> None:
    name = list(environ)[-1]

    with pytest.raises(ConfigurationError, match=f"{name} is not usable: "):
        ServiceManager.from_environment(environ)
