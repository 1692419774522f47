"""Runs `durable-agents` many times for the price of loading it once.

A process that has loaded everything forks for each command: what runs is a process with
arguments, environment, folder and streams of its own, as if it had been started, and it takes a
tenth of the time. Commands that get signals, or variables which the interpreter or a library reads
while it loads, are started for real; so are the tests of what a command loads.

    python -m tests.forking    with the listening socket as its standard input
"""

import asyncio
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = Path(__file__).parent.parent
READ_WHILE_LOADING = ("PYTHON", "LC_", "LANG", "COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_")
STREAMS = 3
LONGEST_REQUEST = 1 << 20
STARTS_WITHIN_S = 60.0
LOOKS_EVERY_S = 5.0


class Forks:
    """Starts commands by forks. The process that forks is started with the first of them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(64)
        self._folder = tempfile.TemporaryDirectory(prefix="da-forks-")
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def can(env: Mapping[str, str]) -> bool:
        """Whether a command with an environment can be a fork of the process that has loaded it."""
        ours = _environment()
        changed = (name for name, value in env.items() if value != ours.get(name))
        return not any(name.startswith(READ_WHILE_LOADING) for name in changed)

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        given: bytes,
        within_s: float,
    ) -> tuple[int, str, str]:
        """Run a command to its end; gives its exit code, standard output and standard error.

        Raises:
            TimeoutError: It takes too long; it is ended.
        """
        self._begin()
        loop = asyncio.get_running_loop()
        asked = {"argv": list(argv), "env": dict(env), "folder": str(folder)}
        return await loop.run_in_executor(self._threads, self._ask, asked, given, within_s)

    def end(self) -> None:
        """End the process that forks."""
        self._threads.shutdown()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._folder.cleanup()
        self._process = None

    def _begin(self) -> None:
        if self._process is not None:
            return
        self.address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.address)
            listening.listen(64)
            # Its own output is nobody's, so that the console is not taken for a terminal.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking"],
                stdin=listening.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=PROJECT,
                env=_environment(),
                start_new_session=True,
            )

    def _ask(self, asked: Mapping[str, Any], given: bytes, within_s: float) -> tuple[int, str, str]:
        with (
            socket.socket(socket.AF_UNIX) as asking,
            tempfile.TemporaryFile() as source,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            source.write(given)
            source.seek(0)
            asking.settimeout(STARTS_WITHIN_S)
            asking.connect(self.address)
            streams = [one.fileno() for one in (source, out, err)]
            socket.send_fds(asking, [json.dumps(asked).encode()], streams)
            asking.shutdown(socket.SHUT_WR)
            answers = asking.makefile("r")
            pid = int(answers.readline())
            asking.settimeout(within_s)
            try:
                code = int(answers.readline())
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return code, out.read().decode(), err.read().decode()


FORKS = Forks()
"""Of this process of the tests; `tests.conftest` ends it."""


def _environment() -> dict[str, str]:
    """Variables of the process that forks."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}


def serve(listening: socket.socket) -> None:
    """Fork for each who asks. Returns in the process of a command, to run it, and only there.

    It ends when the tests have ended, also where these were killed.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for a command
    parent = os.getppid()
    listening.settimeout(LOOKS_EVERY_S)
    while os.getppid() == parent:
        try:
            asking, _ = listening.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listening.close()
            if _run_for(asking):
                return
        asking.close()
    os._exit(0)


def _run_for(asking: socket.socket) -> bool:
    """Begin the command that is asked for; true in its process. The other tells how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told, streams, _, _ = socket.recv_fds(asking, LONGEST_REQUEST, STREAMS)
    while more := asking.recv(LONGEST_REQUEST):
        told += more
    if len(streams) < STREAMS:
        os._exit(0)  # who asked has gone
    pid = os.fork()
    if pid:
        asking.send(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):
            asking.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    asking.close()
    _become(json.loads(told), streams)
    return True


def _become(asked: Mapping[str, Any], streams: Sequence[int]) -> None:
    os.setsid()
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv = asked["argv"]
    sys.modules["__main__"] = ModuleType("__main__")  # by which a command learns its own name


def load() -> None:
    """Load what any command may ask for."""
    for root in ("starters", "durable_agents", "workflows", "activities", "inbox"):
        for found in pkgutil.walk_packages([str(PROJECT / root)], f"{root}."):
            if "migrations" not in found.name and not found.name.endswith("__main__"):
                import_module(found.name)


def main() -> None:
    """Load, then fork for ever; in each fork, run the command."""
    import starters.main  # not for who only asks

    load()
    gc.disable()  # what is loaded is shared; the command line looks for garbage again
    with socket.socket(fileno=os.dup(0)) as listening:
        serve(listening)
    starters.main.main()


if __name__ == "__main__":
    main()
