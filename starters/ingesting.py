"""Puts documents into the knowledge base: hands them to the work pool and watches its jobs."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client

from durable_agents.db import jobs, library, pools, uploads, vectors
from durable_agents.db.embedding_jobs import documents_without
from durable_agents.db.engine import Database
from durable_agents.db.uploads import NewUpload
from durable_agents.jobs import lanes
from durable_agents.jobs.kinds.index_passages import INDEX_PASSAGES
from durable_agents.jobs.kinds.ingest_document import INGEST_DOCUMENT
from durable_agents.jobs.kinds.reembed_document import REEMBED_DOCUMENT
from durable_agents.models.errors import InputError
from durable_agents.models.ingestion import (
    INGEST_POOL,
    IndexPayload,
    IngestPayload,
    ReembedPayload,
)
from durable_agents.models.jobs import NewJob
from starters.sources import Given, Source, read_source

FILES_AT_ONCE = 100
BYTES_AT_ONCE = 8_000_000  # of files that are held in memory and go into one transaction
LOOK_EVERY_S = 0.3
LAST = 5  # the priority of what may wait for everything else


@dataclass
class Tally:
    """How far an ingestion is.

    Attributes:
        total: How many documents there are.
        jobs: What each job of it is about.
        skipped: Documents that were known to be unchanged without a job.
        done: Jobs that are done; `unchanged` of them found nothing new.
        open: Jobs that are not finished.
        chunks: Passages that the jobs have written.
        failures: What cannot be ingested, with the reason.
        is_handed_over: Whether everything is in the pool.
        seconds: How long it took.
    """

    total: int = 0
    jobs: dict[int, str] = field(default_factory=dict[int, str])
    skipped: int = 0
    done: int = 0
    unchanged: int = 0
    open: int = 0
    chunks: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    failed_jobs: dict[int, str] = field(default_factory=dict[int, str])
    is_handed_over: bool = False
    began: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """Documents that are dealt with, one way or another."""
        return self.skipped + self.done + len(self.failed_jobs) + len(self.failures)

    @property
    def all_failures(self) -> list[tuple[str, str]]:
        """What cannot be ingested, with the reason."""
        failed = [(self.jobs[job], reason) for job, reason in self.failed_jobs.items()]
        return [*self.failures, *failed]


class Ingestion:
    """One go at filling the knowledge base.

    Args:
        client: Temporal, whose lanes are woken.
        database: Where documents and jobs are.
        model: The current embedding model; empty when there is none.
    """

    def __init__(self, client: Client, database: Database, model: str) -> None:
        self._client = client
        self._database = database
        self._model = model
        self.tally = Tally()

    async def ingest(self, given: Given) -> None:
        """Hand what is new or has changed over to the pool.

        Raises:
            ServiceUnavailableError: Temporal does not answer; what is in the pool runs later.
        """
        self.tally.total = len(given.sources) + len(given.failures)
        self.tally.failures += given.failures
        await self._prepare()
        some, size = list[NewUpload](), 0
        for source in given.sources:
            upload = await self._read(source)
            if upload is None:
                continue
            some.append(upload)
            size += len(upload.content or b"")
            if len(some) >= FILES_AT_ONCE or size >= BYTES_AT_ONCE:
                await self._hand_over(some)
                some, size = [], 0
        await self._hand_over(some)
        self.tally.is_handed_over = True

    async def reembed(self, dimension: int) -> None:
        """Let the pool give every passage a vector of the current model and its dimension."""
        await self._prepare()
        async with self._database.transaction() as connection:
            documents = await documents_without(connection, self._model, dimension)
            at_work = await uploads.open_payloads(connection, REEMBED_DOCUMENT.name)
            known = {str(payload["document_id"]): job for job, payload in at_work}
            new = [one for one in documents if one not in known]
            made = [
                REEMBED_DOCUMENT.new(ReembedPayload(document_id=one, dimension=dimension))
                for one in new
            ]
            ids = await jobs.enqueue(connection, INGEST_POOL, made)
        wanted = set(documents)
        self.tally.jobs = {job: name for name, job in known.items() if name in wanted}
        self.tally.jobs |= dict(zip(ids, new, strict=True))
        self.tally.total = len(self.tally.jobs)
        self.tally.is_handed_over = True
        await lanes.wake(self._client, self._database, INGEST_POOL)

    async def wait(self, show: Callable[[Tally], None], *, lonely: Callable[[], str]) -> str:
        """Wait for all jobs.

        Args:
            show: Is told how far it is.
            lonely: Says what is missing once nobody seems to work on it, which ends the wait.

        Returns:
            What is missing; empty when all jobs are finished.
        """
        while True:
            await self._look()
            show(self.tally)
            if self.tally.is_handed_over and not self.tally.open:
                return ""
            missing = lonely()
            if missing:
                return missing
            await asyncio.sleep(LOOK_EVERY_S)

    async def make_index(self, *, unasked: bool) -> bool:
        """Let the pool make the index of vectors if it pays; tells whether it was asked to.

        Args:
            unasked: Ask without looking, because the passages are not written yet.
        """
        if not self._model:
            return False
        async with self._database.statement() as connection:
            if not unasked and not await vectors.index_is_due(connection, self._model):
                return False
        await self._submit([INDEX_PASSAGES.new(IndexPayload(), priority=LAST)])
        return True

    async def _prepare(self) -> None:
        async with self._database.transaction() as connection:
            await pools.ensure_pool(connection, INGEST_POOL)
            await uploads.delete_leftovers(connection)

    async def _read(self, source: Source) -> NewUpload | None:
        """Read a file; None when it cannot be, which is noted."""
        try:
            return await asyncio.to_thread(read_source, source)
        except InputError as error:
            self.tally.failures.append((source.source, error.message))
            return None

    async def _hand_over(self, some: Sequence[NewUpload]) -> None:
        """Store the uploads that are new or have changed, each with its job."""
        digests = {upload.source: upload.digest for upload in some}
        async with self._database.transaction() as connection:
            await uploads.one_at_a_time(connection)
            same = await library.unchanged(connection, digests)
            at_work = await uploads.open_jobs(connection, digests)
            new = [one for one in some if one.source not in same and one.source not in at_work]
            ids = await uploads.add_uploads(connection, new) if new else []
            made = [
                INGEST_DOCUMENT.new(IngestPayload(upload_id=upload_id, source=one.source))
                for upload_id, one in zip(ids, new, strict=True)
            ]
            job_ids = await jobs.enqueue(connection, INGEST_POOL, made) if made else []
            await uploads.tie_to_jobs(connection, dict(zip(ids, job_ids, strict=True)))
        self._note(at_work, dict(zip(job_ids, (one.source for one in new), strict=True)))
        self.tally.skipped += len(same)
        if job_ids:
            await lanes.wake(self._client, self._database, INGEST_POOL)

    def _note(self, at_work: Mapping[str, int], new: Mapping[int, str]) -> None:
        self.tally.jobs |= {job: source for source, job in at_work.items()} | dict(new)

    async def _submit(self, made: Sequence[NewJob]) -> None:
        await lanes.submit(self._client, self._database, INGEST_POOL, made)

    async def _look(self) -> None:
        tally = self.tally
        if tally.jobs:
            async with self._database.statement() as connection:
                seen = await uploads.finished(connection, tally.jobs)
            tally.done, tally.open, tally.chunks = seen.done, seen.open, seen.chunks
            tally.unchanged, tally.failed_jobs = seen.unchanged, dict(seen.failures)
        tally.seconds = time.perf_counter() - tally.began
