"""Runs `durable-agents` many times for the price of loading it once.

A process that has loaded everything forks for each command: what runs is a process with
arguments, environment, folder and streams of its own, as if it had been started, and it takes a
tenth of the time. Commands that get signals, or variables which the interpreter or a library reads
while it loads, are started for real; so are the tests of what a command loads.

    python -m tests.forking PID    of who asks; its standard input is the listening socket
"""

import asyncio
import gc
import json
import os
import pkgutil
import select
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
READ_WHILE_LOADING = (
    *("PYTHON", "LC_", "LANG", "COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_"),
    *("TMPDIR", "OPENAI_LOG", "OTEL_"),
)
STREAMS = 3
STARTS_WITHIN_S = 60.0
LOOKS_EVERY_S = 5.0
AT_ONCE = 64


class Forks:
    """Starts commands by forks. The process that forks is started with the first of them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def can(env: Mapping[str, str]) -> bool:
        """Whether a command with an environment can be a fork of the process that has loaded it."""
        ours = _environment()
        changed = (name for name, value in env.items() if value != ours.get(name))
        return not any(name.startswith(READ_WHILE_LOADING) for name in changed)

    @property
    def pid(self) -> int:
        """The process that forks; 0 where nobody has asked for a command yet."""
        return self._process.pid if self._process is not None else 0

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        given: bytes,
        within_s: float,
    ) -> tuple[int, str, str]:
        """Run a command to its end; gives its exit code, standard output and standard error.

        One that nobody waits for any more is ended.

        Raises:
            TimeoutError: It takes too long.
            RuntimeError: The process that forks has ended.
        """
        place = self._begin()
        told = {"argv": list(argv), "env": dict(env), "folder": str(folder)}
        with socket.socket(socket.AF_UNIX) as asking:
            asked = asyncio.get_running_loop().run_in_executor(
                self._threads, _ask, asking, str(place / "socket"), told, given, within_s
            )
            try:
                return await asked
            except (ConnectionError, ValueError) as error:
                said = (place / "said").read_text(encoding="utf-8")
                raise RuntimeError(f"What forks commands has ended: {said}") from error
            finally:
                with suppress(OSError):  # wakes the thread, and ends the command
                    asking.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """End the process that forks."""
        self._threads.shutdown()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _begin(self) -> Path:
        """The folder of the process that forks, which is started by the first who asks."""
        if self._folder is not None:
            return Path(self._folder.name)
        self._folder = tempfile.TemporaryDirectory(prefix="da-forks-")
        place = Path(self._folder.name)
        with socket.socket(socket.AF_UNIX) as listening, (place / "said").open("wb") as said:
            listening.bind(str(place / "socket"))
            listening.listen(AT_ONCE)
            # Its own output is no terminal, so that no console is taken for one.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(os.getpid())],
                stdin=listening.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd=PROJECT,
                env=_environment(),
                start_new_session=True,
            )
        return place


def _ask(
    asking: socket.socket, address: str, told: Mapping[str, Any], given: bytes, within_s: float
) -> tuple[int, str, str]:
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        source.write(given)
        source.seek(0)
        asking.settimeout(STARTS_WITHIN_S)
        asking.connect(address)
        socket.send_fds(asking, [b"?"], [one.fileno() for one in (source, out, err)])
        asking.sendall(json.dumps(told).encode() + b"\n")
        answers = asking.makefile("r")
        begun = answers.readline()
        asking.settimeout(within_s)
        code = int(begun and answers.readline())
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(), err.read().decode()


FORKS = Forks()
"""Of this process of the tests; `tests.conftest` ends it."""


def _environment() -> dict[str, str]:
    """Variables of the process that forks."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}


def serve(listening: socket.socket, parent: int) -> None:
    """Fork for each who asks. Returns in the process of a command, to run it, and only there.

    It ends when the process of the tests has ended, also where that was killed.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for a command
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
    _, streams, _, _ = socket.recv_fds(asking, 1, STREAMS)
    told = asking.makefile("rb").readline()
    if len(streams) < STREAMS or not told:
        os._exit(0)  # who asked has gone
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, _note)
    before = signal.set_wakeup_fd(waking.fileno())
    pid = os.fork()
    if pid:
        _wait_for(pid, asking, woken)
        os._exit(0)
    signal.set_wakeup_fd(before)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in (asking, woken, waking):
        one.close()
    _become(json.loads(told), streams)
    return True


def _note(*_: object) -> None:
    """Without a handler nobody is woken."""


def _wait_for(pid: int, asking: socket.socket, woken: socket.socket) -> None:
    """Tell how a command ends; end it when nobody waits for it any more."""
    try:
        asking.sendall(b"begun\n")
        gone, _, _ = select.select([asking, woken], [], [])
    except OSError:
        gone = [asking]
    if asking in gone:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


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
    """Load, then fork until the tests have ended; in each fork, run the command."""
    import starters.main  # not for who only asks

    parent = int(sys.argv[1])
    listening = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    if os.getppid() != parent:
        return
    load()
    gc.disable()  # what is loaded is shared; the command line looks for garbage again
    serve(listening, parent)
    starters.main.main()


if __name__ == "__main__":
    main()
