"""The parent's end of the watcher: start it, tell it of every child, let it go."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Any

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.parts import Part

_CLOSE_S = 10.0


class Watch:
    """The watcher process, seen from its parent; made by `Watch.start`.

    `watcher.py` says what it does. Only this process holds the pipe's write end: descriptors
    made by Python are closed in every program that it starts.
    """

    def __init__(self, process: Process, pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    @classmethod
    async def start(cls, *, lock: int, log: Path) -> "Watch":
        """Start the watcher, before any child.

        Args:
            lock: Descriptor of the lock that the watcher keeps until it has ended everything.
            log: The file that it writes to when it has something to end.
        """
        read_end, write_end = os.pipe()
        try:
            with log.open("ab") as stderr:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    f"{__package__}.watcher",
                    stdin=read_end,
                    stdout=DEVNULL,
                    stderr=stderr,
                    pass_fds=(lock,),
                    process_group=0,
                )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        return cls(process, write_end)

    @property
    def group(self) -> int:
        """The process group that every child joins."""
        return self._process.pid

    def add(self, part: Part) -> None:
        """Have a child ended when this process is gone."""
        self._tell({"add": part.to_json()})

    def forget(self, pid: int) -> None:
        """Tell that a child has ended."""
        self._tell({"forget": pid})

    def litter(self, path: Path) -> None:
        """Have a file or folder removed when this process is gone."""
        self._tell({"litter": str(path)})

    async def wait(self) -> int:
        """Wait for the watcher's end, which comes first only if somebody killed it."""
        return await self._process.wait()

    async def close(self) -> None:
        """Let the watcher end, with whatever is still registered."""
        os.close(self._pipe)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            os.write(self._pipe, json.dumps(message).encode() + b"\n")
        except BrokenPipeError as error:
            raise ConfigurationError(
                "The process that watches over the embedded parts has ended; "
                "run `durable-agents up` again."
            ) from error
