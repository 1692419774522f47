"""Shows how far an ingestion is, and notices when nobody works on it."""

import asyncio
import time

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agents.models import queues
from starters import presence
from starters.ingesting import Tally
from starters.terminal import err, note

TELL_EVERY_S = 5  # where there is no terminal to draw on


class Company:
    """Notices when nobody works on the jobs.

    Args:
        client: Temporal, which knows who asks for work.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._missing = ""
        self._task: asyncio.Task[None] | None = None

    def missing(self) -> str:
        """Who is missing; empty when nobody is."""
        return self._missing

    def watch(self, tally: Tally) -> None:
        """Begin to look, as long as nothing moves."""
        self._task = asyncio.ensure_future(self._look(tally))

    def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self, tally: Tally) -> None:
        since, before = time.monotonic(), -1
        while True:
            await asyncio.sleep(presence.NOBODY_FOR_S / 5)
            if tally.finished != before or await self._somebody_works():
                since, before = time.monotonic(), tally.finished
            elif time.monotonic() - since >= presence.NOBODY_FOR_S:
                self._missing = f"nobody works on {queues.POOL}"

    async def _somebody_works(self) -> bool:
        try:
            both = [
                await presence.has_workers(self._client, one)
                for one in (queues.POOL, queues.WORKFLOWS)
            ]
        except RPCError:
            return False
        return all(both)


class Shown:
    """Shows how far an ingestion is: a bar on a terminal, else a line from time to time.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
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
        self._task = self._bar.add_task("documents", total=None, rate="")

    def __enter__(self) -> "Shown":
        """Begin."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def show(self, tally: Tally) -> None:
        """Show how far it is."""
        self._bar.update(
            self._task, total=tally.total, completed=tally.finished, rate=rate_of(tally)
        )
        if self._quiet or err.is_terminal or time.monotonic() - self._told < TELL_EVERY_S:
            return
        self._told = time.monotonic()
        note(f"{tally.finished} of {tally.total} documents, {rate_of(tally)}", style="")


def rate_of(tally: Tally) -> str:
    """How fast it goes, on the whole."""
    seconds = max(tally.seconds, 0.001)
    return f"{tally.done / seconds:.1f} documents/s, {tally.chunks / seconds:.0f} passages/s"
