"""Has a flow run for every line of a file, through a work pool: each line once, ever.

A line's job is known by the batch and the line's number. So whoever puts the same file in again,
later or at the same time, finds the jobs there and waits for the same ones.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel
from temporalio.client import Client

from durable_agents.db import batch_jobs, batches, pools
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.stopping import cancel_batch
from durable_agents.models.errors import InputError, NotFoundError
from durable_agents.models.jobs import WORKFLOW_KIND, JobRetry, NewJob
from starters.job_lines import LINES_AT_ONCE, Line, LineFile, portions

LOOK_EVERY_S = 0.5
SPARE_S = 60  # a run that reaches its own deadline says so itself
LONGEST_S = 7 * 86_400  # that a job may take
RETRY = JobRetry(attempts=2, initial_s=30)  # the steps of a run have been tried again already
OPEN = ("queued", "delayed", "running")


@dataclass(frozen=True)
class BatchOptions:
    """A batch: its name, its pool, and how its runs take their turns.

    `retry_failed` has lines run once more that failed or were cancelled before.
    """

    batch: str
    pool: str
    parallelism: int | None = None
    tenant: str = ""
    weight: float = 1
    priority: int = 3
    retry_failed: bool = False


@dataclass
class Tally:
    """How far a batch is; `before` were finished when this command began to look."""

    total: int = 0
    finished: int = 0
    failed: int = 0
    before: int = -1
    began: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> int:
        """How many are not finished."""
        return self.total - self.finished

    @property
    def rate(self) -> str:
        """How fast it goes, on the whole."""
        seconds = max(time.perf_counter() - self.began, 0.001)
        return f"{(self.finished - max(self.before, 0)) / seconds:.1f} lines/s"


class Batching:
    """One go at a batch.

    Args:
        client: Temporal, whose lanes are woken.
        database: Where the jobs are.
        workflow: The type of what runs for each line.
        model: Its input.
        file: The file of lines.
        options: The batch.
    """

    def __init__(
        self,
        client: Client,
        database: Database,
        workflow: str,
        model: type[BaseModel],
        file: LineFile,
        options: BatchOptions,
    ) -> None:
        self._client = client
        self._database = database
        self._workflow = workflow
        self._model = model
        self._file = file
        self._options = options
        self.tally = Tally()
        self.is_new = True
        self.again = 0  # lines that had failed and are run once more

    async def hand_over(self, digest: str) -> None:
        """Put into the pool what is not there yet.

        Args:
            digest: What the content of the file was a moment ago.

        Raises:
            InputError: Under the batch's name another file, flow or pool is known.
            ServiceUnavailableError: Temporal does not answer; what is in the pool runs later.
        """
        options = self._options
        if await self._is_in(f"{self._workflow} {digest}"):
            self.is_new = False
            if options.retry_failed:
                await self._retry_failed()
            await lanes.wake(self._client, self._database, options.pool)
            return
        if options.parallelism is not None:
            await lanes.resize(self._client, self._database, options.pool, options.parallelism)
        for some in portions(self._file.lines(), LINES_AT_ONCE):
            made = [self._job(line) for line in some if line.asked is not None]
            if made:
                await lanes.submit(
                    self._client, self._database, options.pool, made, batch=options.batch
                )
        if self._file.digest() != digest:
            await cancel_batch(self._client, self._database, options.batch)
            raise InputError(
                "The file changed while it was read; what it had asked for is cancelled. Start "
                "again with another --name when it stays as it is."
            )
        async with self._database.statement() as connection:
            await batches.seal(connection, options.batch)

    async def _retry_failed(self) -> None:
        """Put the lines in once more that failed or were cancelled."""
        batch = self._options.batch
        async with self._database.transaction() as connection:
            self.again = await batch_jobs.retry_failed(connection, batch, RETRY.attempts)

    async def _is_in(self, fingerprint: str) -> bool:
        """Open the batch; tells whether all of it is in the pool already."""
        options = self._options
        async with self._database.transaction() as connection:
            await pools.ensure_pool(connection, options.pool, max_parallelism=options.parallelism)
            try:
                found = await batches.find_batch(connection, options.batch)
            except NotFoundError:
                await batches.open_batch(
                    connection,
                    options.batch,
                    pool=options.pool,
                    about=self._workflow,
                    fingerprint=fingerprint,
                )
                return False
        if found.pool != options.pool:
            raise InputError(
                f"The batch {options.batch} is in the pool {found.pool}. Give --pool "
                f"{found.pool}, or another --name."
            )
        if found.fingerprint != fingerprint:
            what = "the file was another" if found.about == self._workflow else found.about
            raise InputError(
                f"The batch {options.batch} was begun with other lines or another flow ({what}). "
                "Give the file as it was, or another --name."
            )
        return found.sealed

    def _job(self, line: Line) -> NewJob:
        assert line.asked is not None  # noqa: S101 - asked by whoever calls
        deadline = line.asked.get("deadline_s", self._default_deadline())
        return NewJob(
            kind=f"{WORKFLOW_KIND}{self._workflow}",
            payload=line.asked,
            key=key_of(self._options.batch, line),
            tenant=self._options.tenant,
            weight=self._options.weight,
            priority=self._options.priority,
            about=f"line {line.number} of {self._options.batch}",
            timeout_s=min(float(deadline) + SPARE_S, LONGEST_S),
            retry=RETRY,
        )

    def _default_deadline(self) -> float:
        field = self._model.model_fields.get("deadline_s")
        return float(field.default) if field else LONGEST_S

    async def wait(self, show: Callable[[Tally], None], *, lonely: Callable[[], str]) -> str:
        """Wait until all jobs are finished.

        Args:
            show: Is told how far it is.
            lonely: Says what is missing once nobody seems to work on it, which ends the wait.

        Returns:
            What is missing; empty when all are finished.
        """
        while True:
            await self.look()
            show(self.tally)
            if not self.tally.left:
                return ""
            if missing := lonely():
                return missing
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Count how far it is."""
        async with self._database.statement() as connection:
            counted = await batches.counts(connection, self._options.batch)
        tally = self.tally
        tally.total = sum(counted.values())
        tally.finished = tally.total - sum(counted.get(status, 0) for status in OPEN)
        tally.failed = counted.get("failed", 0) + counted.get("cancelled", 0)
        if tally.before < 0:
            tally.before = tally.finished


def key_of(batch: str, line: Line) -> str:
    """What makes a line's job once in its pool."""
    return f"{batch}/{line.number}"
