"""What a running part is to those who may have to end it, and how it is ended.

Standard library only: the watcher imports it.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from durable_agents.runtime.embedded.process_identity import is_alive

_POLL_S = 0.02
_AFTER_KILL_S = 1.0


class Stage(IntEnum):
    """The order in which parts end: who uses something ends before what is used."""

    WORKERS = 1
    SIMULATOR = 2
    TEMPORAL = 3
    POSTGRES = 4


@dataclass(frozen=True)
class Part:
    """A child process, as the watcher and the lock file know it.

    Args:
        name: What people call it.
        pid: Its process id.
        identity: What `process_identity` said of it when it started.
        stage: When its turn to end comes, see `Stage`.
        signals: Signals that end it, the gentle one first, each with the seconds it is given.
            SIGKILL follows by itself.
    """

    name: str
    pid: int
    identity: str
    stage: int
    signals: tuple[tuple[int, float], ...] = ((signal.SIGTERM, 1.5),)

    def to_json(self) -> dict[str, Any]:
        """Give the part as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Part":
        """Read what `to_json` gave."""
        signals = tuple((int(number), float(wait)) for number, wait in values["signals"])
        return cls(
            name=str(values["name"]),
            pid=int(values["pid"]),
            identity=str(values["identity"]),
            stage=int(values["stage"]),
            signals=signals,
        )

    @property
    def alive(self) -> bool:
        """Whether this very process still runs, and not another with its number."""
        return is_alive(self.pid, self.identity)


def end_parts(parts: Iterable[Part], say: Callable[[str], object]) -> None:
    """End every part that lives, stage by stage; blocks until they are gone.

    Args:
        parts: Whom to end. They need not be children of this process.
        say: Takes a line about each signal that was sent.
    """
    everyone = list(parts)
    for stage in sorted({part.stage for part in everyone}):
        _end_stage([part for part in everyone if part.stage == stage], say)


def _end_stage(parts: list[Part], say: Callable[[str], object]) -> None:
    steps = max(len(part.signals) for part in parts)
    for step in range(steps):
        living = [part for part in parts if part.alive]
        waits = [0.0]
        for part in living:
            number, wait = part.signals[min(step, len(part.signals) - 1)]
            _send(part, number, say)
            waits.append(wait)
        _wait_for_end(living, max(waits))
    living = [part for part in parts if part.alive]
    for part in living:
        _send(part, signal.SIGKILL, say)
    _wait_for_end(living, _AFTER_KILL_S)


def _send(part: Part, number: int, say: Callable[[str], object]) -> None:
    say(f"{signal.Signals(number).name} to {part.name} (pid {part.pid})")
    with suppress(ProcessLookupError, PermissionError):
        os.kill(part.pid, number)


def _wait_for_end(parts: list[Part], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(part.alive for part in parts):
        time.sleep(_POLL_S)
