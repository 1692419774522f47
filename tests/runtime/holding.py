"""Settings for embedded services, and a process that holds them and can be killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.settings import Settings

HOLDER = Path(__file__).with_name("holder.py")


def embedded_settings(state_dir: Path, **values: Any) -> Settings:
    defaults: dict[str, Any] = {
        "state_dir": state_dir,
        "temporal_port": 0,
        "temporal_ui_port": 0,
        "simulator_port": 0,
        "simulator": "off",
    }
    return Settings.model_validate({**defaults, **values})


@dataclass
class Holder:
    """A process that holds embedded services, and everything below it."""

    process: asyncio.subprocess.Process
    sleeper: int
    state_dir: Path
    group: int = 0
    family: list[int] = field(default_factory=list[int])

    @classmethod
    async def start(cls, state_dir: Path, *prefix: str, **values: Any) -> "Holder":
        settings = embedded_settings(state_dir, **values).model_dump(mode="json")
        process = await asyncio.create_subprocess_exec(
            *prefix,
            sys.executable,
            str(HOLDER),
            json.dumps(settings),
            stdout=asyncio.subprocess.PIPE,
            process_group=0,
        )
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        holder = cls(process, ready["sleeper"], state_dir)
        holder.group = os.getpgid(holder.sleeper)
        holder.family = descendants(process.pid)
        return holder

    @property
    def watcher(self) -> int:
        """The watcher leads the group that all children belong to."""
        return self.group

    def kill(self) -> None:
        self.process.kill()

    async def end(self) -> None:
        """End what is left, when a test is over."""
        for pid in [self.process.pid, *self.family]:
            if process_identity(pid):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def held_services(state_dir: Path, *prefix: str, **values: Any) -> AsyncGenerator[Holder]:
    holder = await Holder.start(state_dir, *prefix, **values)
    try:
        yield holder
    finally:
        await holder.end()


def descendants(pid: int) -> list[int]:
    """Give the process ids below this one."""
    lines = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    parents = {int(line.split()[0]): int(line.split()[1]) for line in lines}
    found: list[int] = []
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found += level
    return found


async def gone(pids: list[int], *, within: float) -> bool:
    """Whether these processes are all gone in time."""
    async with asyncio.timeout(within + 1):
        for _ in range(int(within / 0.05)):
            if not any(process_identity(pid) for pid in pids):
                return True
            await asyncio.sleep(0.05)
    return False
