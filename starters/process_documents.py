"""Have any number of documents analysed by a work pool, so many at once and no more.

python -m starters.process_documents refund-policy warranty
python -m starters.process_documents --file ids.txt --no-wait
"""

import hashlib
import json
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import Client

from durable_agents.db import batches, documents, fillings
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.documents import add_documents, open_documents
from durable_agents.jobs.stopping import cancel_batch
from durable_agents.models.errors import InputError
from durable_agents.models.process_documents import (
    DOCUMENT_POOL,
    MOST_INLINE,
    DocumentBatchInput,
    DocumentBatchResult,
    DocumentJobs,
)
from durable_agents.runtime.settings import Settings
from starters.flow_command import Given, Start, end_unless, flow_command
from starters.options import STDIN, Parallelism, Pool
from starters.terminal import EXIT_RUN_FAILED, main_of, note, say
from starters.work_pool import opened

AT_ONCE = 1000  # ids that go into the pool in one transaction
MOST_CHARS = 200  # of an id
EVERY_DOCUMENT = "every document"


@flow_command("DocumentBatchWorkflow", deadline=3 * 86_400)
def process_documents(
    given: Given,
    document_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Documents; `-` reads ids from standard input."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Ids from this file, one a line.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All documents of the knowledge base.")
    ] = False,
    pool: Pool = DOCUMENT_POOL,
    parallelism: Parallelism = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Analyse without what fails: the result says so.")
    ] = False,
) -> Start[DocumentBatchResult]:
    """Have any number of documents analysed by a work pool, so many at once and no more."""
    ids = _ids_of(document_ids or [], file)
    if everything == bool(ids):
        raise InputError(
            "Give document ids, as arguments, with --file PATH or as `-` on standard input; or "
            "--all."
        )
    tenant = given.tenant or given.user
    how = DocumentBatchInput(
        pool=pool,
        allow_partial=partial,
        user_id=given.user,
        tenant=tenant,
        weight=given.settings.tenant_weights.get(tenant, 1),
        priority=given.priority,
        deadline_s=given.deadline,
        batch=f"documents/{secrets.token_hex(8)}",
    )
    summary = f"analyse {EVERY_DOCUMENT if everything else f'{len(ids)} documents'}"
    if not everything and parallelism is None and len(ids) <= MOST_INLINE:
        inline = how.model_copy(update={"batch": "", "document_ids": tuple(ids)})
        return Start(inline, summary, DocumentBatchResult, show, _end)
    filling = _Filling(given.settings, how.batch, ids, how, parallelism)
    return Start(how, summary, DocumentBatchResult, show, _end, prepare=filling.filled)


@dataclass(frozen=True)
class _Filling:
    """A batch that is put into its pool before the run is started: so history holds its name.

    Without ids it is every document of the knowledge base. What a command that was killed has
    put in of the same, this one takes up.
    """

    settings: Settings
    batch: str
    ids: Sequence[str]
    how: DocumentJobs
    parallelism: int | None

    @asynccontextmanager
    async def filled(self, client: Client) -> AsyncGenerator[None]:
        """Put the documents in; if the run cannot be started then, they are cancelled."""
        async with opened(self.settings) as database, database.statement() as holder:
            await fillings.hold(holder, self.batch)
            fingerprint = self._fingerprint()
            async with database.transaction() as connection:
                await open_documents(connection, self.batch, self.how, fingerprint=fingerprint)
            try:
                await self._fill(client, database)
                yield
            except BaseException:
                await cancel_batch(client, database, self.batch)
                raise
            finally:
                await fillings.hand_on(holder, self.batch)

    def _fingerprint(self) -> str:
        how = self.how
        what = [how.user_id, how.tenant, how.allow_partial, *(self.ids or [EVERY_DOCUMENT])]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    async def _fill(self, client: Client, database: Database) -> None:
        if self.parallelism is not None:
            await lanes.resize(client, database, self.how.pool, self.parallelism)
        if taken_up := await fillings.take_up(database, self.batch):
            note(f"A command that was killed left {taken_up} of them in the pool; it goes on.")
        count = 0
        async for some in self._portions(database):
            async with database.transaction() as connection:
                await add_documents(connection, self.batch, some, self.how)
            count += len(some)
        if not count:
            raise InputError("The knowledge base has no documents. Put some in: `ingest`.")
        async with database.statement() as connection:
            await batches.seal(connection, self.batch)

    async def _portions(self, database: Database) -> AsyncIterator[Sequence[str]]:
        for start in range(0, len(self.ids), AT_ONCE):
            yield self.ids[start : start + AT_ONCE]
        after = ""
        while not self.ids:
            async with database.statement() as connection:
                found = await documents.ids_after(connection, after, AT_ONCE)
            if not found:
                return
            yield found
            after = found[-1]


def _ids_of(given: Sequence[str], file: Path | None) -> list[str]:
    """The ids that a person gave, each once.

    Raises:
        InputError: Something cannot be read, or is no id.
    """
    named = [one for one in given if one != STDIN]
    if len(named) < len(given):
        named += _lines_of(sys.stdin.buffer.read(), "Standard input")
    if file is not None:
        try:
            named += _lines_of(file.read_bytes(), str(file))
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    ids = list(dict.fromkeys(one.strip() for one in named if one.strip()))
    for one in ids:
        if len(one) > MOST_CHARS or not one.isprintable():
            raise InputError(
                f"{one[:40]!a} is no id of a document: one has {MOST_CHARS} printable "
                "characters at most. Give one id a line."
            )
    return ids


def _lines_of(raw: bytes, name: str) -> list[str]:
    try:
        return raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not text in UTF-8. Give one id a line.") from error


def show(result: DocumentBatchResult) -> None:
    """Print how many were analysed, and what failed."""
    say(f"{result.done} of {result.total} documents analysed, {result.failed} failed.")
    for failure in result.failures:
        note(f"{failure.document_id}: {failure.reason}", "red")
    unnamed = result.failed - len(result.failures)
    if unnamed:
        every = f"`durable-agents pool jobs {result.pool} --status failed`"
        note(f"… and {unnamed} more; {every} lists all.", "red")
    if result.stopped:
        note(
            f"The deadline passed: {result.cancelled} were cancelled, {result.left} had not "
            "stopped yet. Give the run a longer --deadline.",
            "yellow",
        )


def _end(result: DocumentBatchResult) -> None:
    if result.failed:
        raise typer.Exit(EXIT_RUN_FAILED)
    end_unless(not result.stopped)


if __name__ == "__main__":
    main_of(process_documents)
