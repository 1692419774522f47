"""All child processes of this one: started in one place, ended in order."""

import asyncio
from pathlib import Path

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import Child, ChildFailure, ChildSpec
from durable_agents.runtime.embedded.run_lock import RunLock
from durable_agents.runtime.embedded.watch import Watch


class Children:
    """Starts children under the watcher, notices when one ends, and ends them in order.

    Args:
        watch: The watcher.
        lock: Where the parts are written down.
        log_folder: Holds a log for each child.
    """

    def __init__(self, watch: Watch, lock: RunLock, log_folder: Path) -> None:
        self._watch = watch
        self._lock = lock
        self._log_folder = log_folder
        self._children: list[Child] = []
        self._followers: set[asyncio.Task[None]] = set()
        self._failures: asyncio.Queue[ChildFailure] = asyncio.Queue()

    async def start(self, spec: ChildSpec) -> Child:
        """Start a child that runs until it is asked to end."""
        child = await self._start(spec)
        follower = asyncio.create_task(self._follow(child), name=f"follow {child.name}")
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)
        return child

    async def run(self, spec: ChildSpec, *, seconds: float) -> None:
        """Run a program to its end.

        Raises:
            ConfigurationError: It failed or took too long; with what its log says.
        """
        child = await self._start(spec)
        try:
            async with asyncio.timeout(seconds):
                outcome = await child.wait()
        except TimeoutError as error:
            raise ConfigurationError(
                f"{child.name} took more than {seconds:g} s (log: {child.log})."
            ) from error
        finally:
            await self._end(child)
        if outcome.exit_code != 0:
            raise ConfigurationError(f"{outcome.message}.")

    def pid_of(self, name: str) -> int:
        """The process id of the child of this name."""
        return next(child.pid for child in self._children if child.name == name)

    async def next_failure(self) -> ChildFailure:
        """Wait until a child ends although nobody asked it to."""
        return await self._failures.get()

    async def stop(self) -> None:
        """End all children, stage by stage."""
        for stage in sorted({child.spec.stage for child in self._children}):
            ending = [child for child in self._children if child.spec.stage == stage]
            await asyncio.gather(*(self._end(child) for child in ending))
        await asyncio.gather(*self._followers)

    async def _start(self, spec: ChildSpec) -> Child:
        child = await Child.start(spec, watch=self._watch, log_folder=self._log_folder)
        self._children.append(child)
        self._record()
        return child

    async def _end(self, child: Child) -> None:
        await child.stop()
        self._drop(child)

    async def _follow(self, child: Child) -> None:
        failure = await child.wait()
        self._drop(child)
        if not child.stopping:
            self._failures.put_nowait(failure)

    def _drop(self, child: Child) -> None:
        if child in self._children:
            self._children.remove(child)
            self._record()

    def _record(self) -> None:
        self._lock.record([child.part for child in self._children])
