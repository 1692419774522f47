"""One child process: its log file, the wait until it is ready, and its end."""

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.parts import Part
from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.embedded.watch import Watch

_LOG_LIMIT_BYTES = 5_000_000
_TAIL_BYTES = 8_000
_LINE_LIMIT = 400
_FIRST_POLL_S = 0.01
_SLOWEST_POLL_S = 0.1


@dataclass(frozen=True)
class Account:
    """An account of the system that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ChildSpec:
    """What to start, and how to end it.

    Args:
        name: What people call it; its log file is named for it.
        argv: The program and its arguments.
        stage: When its turn to end comes, see `parts.Stage`.
        env: Its whole environment; that of this process when left out.
        cwd: Where it stands; where this process stands when left out.
        account: Whom it runs as, where that is not us.
        gentle: The signal that asks it to end.
        grace_s: How long it may take to end when asked; SIGKILL follows.
        rescue: The signals that the watcher ends it with when this process is gone, each with
            the seconds it is given.
    """

    name: str
    argv: Sequence[str]
    stage: int
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    account: Account | None = None
    gentle: signal.Signals = signal.SIGTERM
    grace_s: float = 5.0
    rescue: tuple[tuple[int, float], ...] = ((signal.SIGTERM, 1.5),)


@dataclass(frozen=True)
class ChildFailure:
    """A child that ended although nobody asked it to.

    Args:
        name: What people call it.
        exit_code: Its exit code; negative is the number of the signal that ended it.
        last_line: The last line of its log that says something.
        log: Its log file.
    """

    name: str
    exit_code: int
    last_line: str
    log: Path

    @property
    def message(self) -> str:
        """One sentence for a person."""
        how = (
            f"was ended by {signal.Signals(-self.exit_code).name}"
            if self.exit_code < 0
            else f"ended with exit code {self.exit_code}"
        )
        said = f": {self.last_line}" if self.last_line else ""
        return f"{self.name} {how}{said} (log: {self.log})"


@dataclass
class Child:
    """A process that was started; made by `Child.start`."""

    spec: ChildSpec
    log: Path
    part: Part
    process: Process
    _watch: Watch
    _log_offset: int
    stopping: bool = field(default=False, init=False)

    @classmethod
    async def start(cls, spec: ChildSpec, *, watch: Watch, log_folder: Path) -> "Child":
        """Start a process in the watcher's group and register it with the watcher.

        Raises:
            ConfigurationError: The program cannot be started.
        """
        log = log_folder / f"{spec.name}.log"
        _rotate(log)
        with log.open("ab") as output:
            offset = output.tell()
            process = await _spawn(spec, group=watch.group, output=output.fileno())
        part = Part(
            name=spec.name,
            pid=process.pid,
            identity=process_identity(process.pid),
            stage=spec.stage,
            signals=spec.rescue,
        )
        watch.add(part)
        return cls(spec, log, part, process, watch, offset)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.spec.name

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def wait(self) -> ChildFailure:
        """Wait until it has ended, and say how."""
        code = await self.process.wait()
        self._watch.forget(self.pid)
        return ChildFailure(self.name, code, self.last_line(), self.log)

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """Wait until the child does its work.

        Args:
            ready: Whether it does; called again and again.
            seconds: How long to wait at most.

        Raises:
            ConfigurationError: It ended before, or took too long; with what its log says.
        """
        end = time.monotonic() + seconds
        pause = _FIRST_POLL_S
        while self.process.returncode is None and time.monotonic() < end:
            if await ready():
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, _SLOWEST_POLL_S)
        if self.process.returncode is not None:
            raise ConfigurationError(f"{(await self.wait()).message}.")
        raise ConfigurationError(
            f"{self.name} was not ready after {seconds:g} s: "
            f"{self.last_line() or 'it said nothing'} (log: {self.log})."
        )

    async def stop(self) -> None:
        """Ask it to end, wait for its grace period, then kill it. Harmless when it has ended."""
        self.stopping = True
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(self.spec.gentle)
            try:
                async with asyncio.timeout(self.spec.grace_s):
                    await self.process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self.process.kill()
        await self.process.wait()
        self._watch.forget(self.pid)

    def last_line(self) -> str:
        """The line of this start's log that says most: its last error, else its last line."""
        lines = self.log_lines()
        errors = [
            line
            for line in lines
            if any(word in line.lower() for word in ("fatal", "panic", "error"))
        ]
        return (errors or lines or [""])[-1][:_LINE_LIMIT]

    def log_lines(self) -> list[str]:
        """The lines that it wrote since it started, of its last few kilobytes."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_offset, size - _TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        return [line.strip() for line in text.splitlines() if line.strip()]


async def _spawn(spec: ChildSpec, *, group: int, output: int) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *spec.argv,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            env=spec.env,
            cwd=spec.cwd,
            process_group=group,
            user=spec.account.uid if spec.account else None,
            group=spec.account.gid if spec.account else None,
            extra_groups=() if spec.account else None,
            umask=0o077 if spec.account else -1,
        )
    except OSError as error:
        raise ConfigurationError(
            f"{spec.name} cannot be started ({spec.argv[0]}): {error.strerror or error}."
        ) from error


def _rotate(log: Path) -> None:
    """Keep one older log of a few megabytes at most beside the new one."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
