"""Shows how far jobs of a pool are, and notices when nobody works on them."""

import asyncio
import time
from collections.abc import Callable

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from temporalio.client import Client
from temporalio.service import RPCError

from starters import presence
from starters.terminal import err, note

TELL_EVERY_S = 5  # where there is no terminal to draw on


class Company:
    """Notices when nobody works on jobs.

    Args:
        client: Temporal, which knows who asks for work.
        queues: The task queues that they need.
    """

    def __init__(self, client: Client, *queues: str) -> None:
        self._client = client
        self._queues = queues
        self._missing = ""
        self._task: asyncio.Task[None] | None = None

    def missing(self) -> str:
        """Who is missing; empty when nobody is."""
        return self._missing

    def watch(self, finished: Callable[[], int]) -> None:
        """Begin to look, as long as the number of finished ones does not move."""
        self._task = asyncio.ensure_future(self._look(finished))

    def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self, finished: Callable[[], int]) -> None:
        since, before = time.monotonic(), -1
        while True:
            await asyncio.sleep(presence.NOBODY_FOR_S / 5)
            if finished() != before or await self._somebody_works():
                since, before = time.monotonic(), finished()
            elif time.monotonic() - since >= presence.NOBODY_FOR_S:
                self._missing = f"nobody works on {self._queues[0]}"

    async def _somebody_works(self) -> bool:
        try:
            there = [await presence.has_workers(self._client, one) for one in self._queues]
        except RPCError:
            return False
        return all(there)


class Shown:
    """Shows how far something is: a bar on a terminal, else a line from time to time.

    Args:
        what: What is counted, in the plural.
        quiet: Show nothing.
    """

    def __init__(self, what: str, *, quiet: bool) -> None:
        self._what = what
        self._quiet = quiet
        self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        )
        self._task = self._bar.add_task(what, total=None, rate="")

    def __enter__(self) -> "Shown":
        """Begin."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def show(self, total: int, finished: int, rate: str) -> None:
        """Show how far it is."""
        self._bar.update(self._task, total=total, completed=finished, rate=rate)
        if self._quiet or err.is_terminal or time.monotonic() - self._told < TELL_EVERY_S:
            return
        self._told = time.monotonic()
        note(f"{finished} of {total} {self._what}, {rate}", style="")
