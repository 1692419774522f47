"""At most one `up` in a state folder, and what an earlier one left behind.

The lock is taken with flock(2) on `up.lock` and is held by the process and by its watcher, so
a stale file never blocks. Its content names the holder and its parts: who finds the lock free
but a part alive (somebody killed the process and its watcher) ends that part first.
"""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.parts import Part, end_parts
from durable_agents.runtime.embedded.process_identity import is_alive, process_identity
from durable_agents.runtime.embedded.whole_threads import in_thread

_CLEARING_S = 15.0  # the watcher of a killed `up` needs 5 s at most
_DYING_S = 0.5  # a process that was just killed needs a moment to be gone
_POLL_S = 0.05


class RunLock:
    """The right to run the embedded parts of a state folder; made by `RunLock.acquire`."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self._path = path

    @classmethod
    async def acquire(cls, state_dir: Path) -> "RunLock":
        """Take the lock; waits while the watcher of a killed `up` clears up.

        Raises:
            ConfigurationError: Another process runs the parts of this folder.
        """
        path = state_dir / "up.lock"
        began = time.monotonic()
        while (descriptor := _try_lock(path)) is None:
            holder = _content(path)
            patience = _DYING_S if _holder_alive(holder) else _CLEARING_S
            if time.monotonic() - began > patience:
                raise _already_running(holder, state_dir)
            await asyncio.sleep(_POLL_S)
        lock = cls(descriptor, path)
        try:
            await lock._clear(state_dir)
            lock.record([])
        except BaseException:
            lock.release()
            raise
        return lock

    def record(self, parts: Sequence[Part]) -> None:
        """Write down who holds the lock and which parts run."""
        content = {
            "pid": os.getpid(),
            "identity": process_identity(os.getpid()),
            "parts": [part.to_json() for part in parts],
        }
        data = json.dumps(content).encode()
        os.pwrite(self.descriptor, data, 0)
        os.ftruncate(self.descriptor, len(data))

    def release(self) -> None:
        """Give the lock up, for the watcher as well."""
        with suppress(OSError):
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)

    async def _clear(self, state_dir: Path) -> None:
        """End what a killed `up` left, unless it lives and only its lock file was removed."""
        run = _content(state_dir / "run.json")
        if _holder_alive(run):
            raise _already_running(run, state_dir)
        left = [Part.from_json(values) for values in _content(self._path).get("parts", [])]
        if any(part.alive for part in left):
            await in_thread(end_parts, left, lambda _: None)


def _try_lock(path: Path) -> int | None:
    """Open and lock the file; None when somebody has it, or it was replaced meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _content(path: Path) -> dict[str, Any]:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _holder_alive(holder: dict[str, Any]) -> bool:
    return is_alive(int(holder.get("pid", 0)), str(holder.get("identity", "")))


def _already_running(holder: dict[str, Any], state_dir: Path) -> ConfigurationError:
    pid = holder.get("pid", "unknown")
    return ConfigurationError(
        f"Durable Agents already runs here: pid {pid}, with its state in {state_dir}; "
        "stop it first (Ctrl-C there), or set STATE_DIR to another folder."
    )
