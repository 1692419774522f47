"""`python -m workers`: run worker processes as a service.

SIGTERM, SIGINT and SIGHUP drain: what runs is finished within the grace period, nothing new is
begun.
Under systemd (`Type=notify`) it says when every process polls, how they are, and that it ends.
"""

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import uvicorn

from durable_agents.models.errors import ConfigurationError, DurableAgentsError
from durable_agents.runtime import logs
from durable_agents.runtime.service_manager import ServiceManager
from durable_agents.runtime.settings import Settings
from workers.announcing import Announcer
from workers.health import application
from workers.roles import EXIT_CONFIGURATION, ROLES
from workers.supervisor import Supervisor

MOST_BY_CORE = 8  # one is busy with a core; those that wait for models leave room for others
FEW_PROCESSES = 16  # may be had on any machine


async def serve(settings: Settings, roles: Sequence[str], processes: int) -> int:
    """Run worker processes and the page of their health until told to stop.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: The port of the health page is taken, or what the service manager
            says cannot be used.
    """
    grace_s = settings.worker_shutdown_grace_s
    manager = ServiceManager.from_environment()
    listening = _listen(settings.health_host, settings.health_port)
    supervisor = Supervisor(roles, processes=processes, grace_s=grace_s)
    announcer = Announcer(manager, supervisor, roles, grace_s=grace_s)
    supervisor.on_change = announcer.changed
    drain_when_told(asyncio.get_running_loop(), supervisor.stop)
    server = _HealthServer(
        uvicorn.Config(
            application(supervisor, settings.worker_build_id, roles),
            log_config=None,
            log_level="error",
            access_log=False,
        )
    )
    page = asyncio.ensure_future(server.serve([listening]))
    if not settings.health_port:
        port = listening.getsockname()[1]
        place = f"http://{settings.health_host}:{port}"
        logs.tell(f"Health and metrics are at {place}.", name="workers")
    announcer.changed()
    living = asyncio.ensure_future(announcer.keep_alive())
    try:
        return await supervisor.run()
    finally:
        living.cancel()
        server.should_exit = True
        await page


def drain_when_told(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Drain on the signals that ask for the end, that of a terminal which is closed among them."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # `nohup` has it outlive its terminal
        loop.add_signal_handler(number, stop)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port of the health page; 0 takes any that is free.

    Raises:
        ConfigurationError: It cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"Port {port} is taken by another program. Set HEALTH_PORT to a free one."
            ) from error
        raise ConfigurationError(
            f"The workers' health cannot be shown at {host}:{port} ({error.strerror}): "
            "correct HEALTH_HOST and HEALTH_PORT."
        ) from error


class _HealthServer(uvicorn.Server):
    """A server that leaves signals to the supervisor."""

    @contextlib.contextmanager
    def capture_signals(self):
        """Signals drain the workers; the page goes last."""
        yield


def most_processes() -> int:
    """How many processes may be asked for; more would only take memory from each other."""
    return max(MOST_BY_CORE * (os.cpu_count() or 1), FEW_PROCESSES)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and run; the exit code is 2 when workers cannot start as configured.

    It is 75 when they waited in vain for a part that is not there (STARTUP_WAIT_S).
    """
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--role", action="append", choices=ROLES, help="all when left out")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(argv)
    most = most_processes()
    if not 1 <= given.processes <= most:
        parser.error(f"--processes takes a number from 1 to {most} on this machine")
    try:
        settings = Settings.load()
        logs.configure(level=settings.log_level, form=settings.log_format)
        sys.exit(asyncio.run(serve(settings, given.role or ROLES, given.processes)))
    except DurableAgentsError as error:
        logs.tell(error.message, name="workers")
        sys.exit(EXIT_CONFIGURATION)


if __name__ == "__main__":
    main()
