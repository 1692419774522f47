"""The parent of the worker processes: starts them, restarts one that died, drains them all."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from durable_agents.runtime.logs import tell
from durable_agents.runtime.startup import EXIT_TRY_LATER
from workers.roles import ALIVE, EXIT_CONFIGURATION, READY, REFUSED, WAITING

PROGRAM = (sys.executable, "-m", "workers.process")
RESTARTS_ALLOWED = 5  # within RESTARTS_WITHIN_S; more is a fault that a restart does not mend
RESTARTS_WITHIN_S = 60
RESTART_AFTER_S = 0.5  # doubled with each restart that is not long ago
DRAIN_MARGIN_S = 5
EXIT_NOT_STARTED = 71  # `EX_OSERR`: the system has no room for another process
SILENT_S = 60  # beyond a drain: a process that gives no sign of life for so long hangs
LOOK_EVERY_S = 5


@dataclass
class Child:
    """One worker process, and how often it was restarted lately."""

    number: int
    metrics_port: int
    process: Process | None = None
    ready: bool = False
    ever_ready: bool = False
    silent_s: float = 0  # since it was heard of last
    restarts: deque[float] = field(default_factory=deque[float])


class Supervisor:
    """Keeps worker processes running.

    Args:
        roles: What each process runs.
        processes: How many there are.
        grace_s: How long a process may take to drain, in seconds.
        program: What a process runs; its arguments are added.
    """

    def __init__(
        self,
        roles: Sequence[str],
        *,
        processes: int,
        grace_s: float,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._roles = roles
        self._program = program
        self._grace_s = grace_s
        self._stopping = asyncio.Event()
        self.children = [Child(number, _free_port()) for number in range(processes)]
        self.exit_code = 0
        self.complaint = ""  # what went wrong last, until every process polls again
        self.on_change: Callable[[], None] = _nobody_listens
        self.restarts = 0  # of processes that died
        self._refusal = ""
        self.waiting = False  # for a part that is not there yet

    @property
    def ready(self) -> bool:
        """Whether every process polls."""
        return all(child.ready for child in self.children)

    @property
    def stopping(self) -> bool:
        """Whether it drains."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin to drain."""
        self._stopping.set()

    async def run(self) -> int:
        """Run until told to stop, or until a process cannot be kept running.

        Returns:
            The exit code: 0 after a drain, that of the process otherwise.
        """
        keepers = [asyncio.ensure_future(self._keep(child)) for child in self.children]
        told = asyncio.ensure_future(self._stopping.wait())
        watching = asyncio.ensure_future(self._end_what_hangs())
        await asyncio.wait({told, *keepers}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        watching.cancel()
        self.on_change()
        await asyncio.gather(*(self._drain(child) for child in self.children))
        await asyncio.gather(*keepers)
        told.cancel()
        return self.exit_code

    async def _end_what_hangs(self) -> None:
        """End processes that poll and give no sign of life; they are then started again.

        Time is counted in turns of this loop: while the machine sleeps, none of them hangs.
        """
        allowed_s = SILENT_S + self._grace_s  # one that drains gives no signs
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for child in self.children:
                child.silent_s += LOOK_EVERY_S
                if child.ready and child.process and child.silent_s > allowed_s:
                    self._complain(
                        f"Worker process {child.number} gave no sign of life for "
                        f"{child.silent_s:g} s and is ended."
                    )
                    child.silent_s = 0
                    with contextlib.suppress(ProcessLookupError):
                        child.process.kill()

    async def _keep(self, child: Child) -> None:
        """Start a process, and again when it dies, until that is no use."""
        while not self._stopping.is_set():
            code = await self._live(child)
            if self._stopping.is_set():
                return
            if not child.ever_ready and code in {EXIT_CONFIGURATION, EXIT_TRY_LATER}:
                self.exit_code = code
                return
            if not self._may_restart(child):
                self._complain(
                    f"Worker process {child.number} died {RESTARTS_ALLOWED} times; giving up."
                )
                self.exit_code = code if code > 0 else 1
                return
            self.restarts += 1
            self._complain(f"Worker process {child.number} ended with {code}; it is started again.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _pause(child))

    async def _live(self, child: Child) -> int:
        """Run a process once; gives its exit code."""
        try:
            process = await self._start(child)
        except OSError as error:
            self._complain(f"Worker process {child.number} cannot be started: {error.strerror}.")
            return EXIT_NOT_STARTED
        child.process = process
        if self._stopping.is_set():
            process.kill()  # `_drain` saw the one before; this one has not begun anything
        assert process.stdout is not None  # noqa: S101 - asked for
        async for line in _lines(process.stdout):
            child.silent_s = 0
            self._hear(child, process.pid, line)
        code = await process.wait()
        child.ready = False
        return code

    async def _start(self, child: Child) -> Process:
        """Start a process.

        Raises:
            OSError: The system does not let us.
        """
        child.metrics_port = _free_port()
        return await asyncio.create_subprocess_exec(
            *self._program,
            "--roles",
            ",".join(self._roles),
            "--metrics-port",
            str(child.metrics_port),
            "--number",
            str(child.number),
            stdin=PIPE,  # its end tells the process that the supervisor is gone
            stdout=PIPE,
            start_new_session=True,  # Ctrl-C goes to the supervisor, which drains
        )

    def _hear(self, child: Child, pid: int, line: bytes) -> None:
        """Take in what a process says; what is not meant for us goes on to standard output."""
        told = line.decode(errors="replace").rstrip()
        if told == READY:
            child.ready = child.ever_ready = True
            _say(f"Worker process {child.number} is ready (pid {pid}).")
            self._became_ready()
        elif told.startswith(WAITING):
            self._wait(told.removeprefix(WAITING))
        elif told.startswith(REFUSED):
            self._refuse(told.removeprefix(REFUSED))
        elif told != ALIVE and sys.stdout is not None:
            with contextlib.suppress(OSError):  # nobody reads it, or the disk is full
                os.write(sys.stdout.fileno(), line)

    def _refuse(self, reason: str) -> None:
        """Say why processes cannot start, once for all of them."""
        if reason != self._refusal:
            self._complain(reason)
        self._refusal = reason

    def _wait(self, reason: str) -> None:
        """Say for what processes wait, when it is another part than before."""
        self.waiting = True
        sentence = f"Waiting: {reason}"
        if sentence != self.complaint:
            self._complain(sentence)
        else:
            self.on_change()

    def _became_ready(self) -> None:
        self.waiting = False
        self.complaint = "" if self.ready else self.complaint
        self.on_change()

    def _complain(self, sentence: str) -> None:
        """Say what went wrong, here and to whoever follows."""
        _say(sentence)
        self.complaint = sentence
        self.on_change()

    def _may_restart(self, child: Child) -> bool:
        now = time.monotonic()
        child.restarts.append(now)
        while now - child.restarts[0] > RESTARTS_WITHIN_S:
            child.restarts.popleft()
        return len(child.restarts) < RESTARTS_ALLOWED

    async def _drain(self, child: Child) -> None:
        """Ask a process to drain; end it when it takes too long."""
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._grace_s + DRAIN_MARGIN_S)
        except TimeoutError:
            _say(f"Worker process {child.number} did not drain in time and is ended.")
            process.kill()
            await process.wait()


def _pause(child: Child) -> float:
    """How long to wait before a process is started again, in seconds."""
    return RESTART_AFTER_S * 2 ** (len(child.restarts) - 1)


def _nobody_listens() -> None:
    """Nobody follows."""


def _say(sentence: str) -> None:
    tell(sentence, name=__name__)


async def _lines(stream: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    """Every line; of one that is too long to be meant for us, the beginning is left out."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue
        if not line:
            return
        yield line


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
