"""Put documents into the knowledge base: files, folders and addresses.

python -m starters.ingest examples/documents https://example.com/handbook.pdf
"""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table
from temporalio.client import Client

from durable_agents.db import library
from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.errors import ConfigurationError, InputError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.ingest_progress import rate_of, show
from starters.ingesting import Ingestion, Tally
from starters.job_progress import Company, Shown
from starters.options import AsJson, NoWait
from starters.search import SITE, embedder_here, knowledge_base
from starters.sources import Given, look_through
from starters.terminal import (
    EXIT_RUN_FAILED,
    EXIT_STILL_OPEN,
    fail,
    main_of,
    note,
    out,
    plain,
    print_json,
    run,
    say,
)

Prune = Annotated[
    bool, typer.Option("--prune", help="Delete documents that are gone from the folders.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Let --prune delete all documents of a folder.")]
Delete = Annotated[
    bool, typer.Option("--delete", help="Delete documents, by their ids or sources.")
]

SHOWN_FAILURES = 50
SEE = "`durable-agents pool status ingest` shows how far they are"


def ingest(
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH_OR_URL...", help="Files, folders, addresses."),
    ] = None,
    name: Annotated[str, typer.Option("--as", help="The folder's name in its sources.")] = "",
    prune: Prune = False,
    yes: Yes = False,
    delete: Delete = False,
    reembed: Annotated[
        bool, typer.Option("--reembed", help="Move all passages to the current embedding model.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the documents.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Put documents into the knowledge base: text, Markdown, HTML and PDF."""

    async def work(settings: Settings) -> None:
        asked = list(given or ())
        if bool(asked) + reembed + listing != 1 or (prune and (delete or not asked)):
            raise InputError(
                "Give paths or addresses to ingest, or ids with --delete, or one of --reembed "
                "and --list."
            )
        async with knowledge_base(settings) as database:
            if listing:
                await _list(settings, database, as_json=as_json)
            elif delete:
                await _delete(database, asked, as_json=as_json)
            elif reembed:
                await _reembed(settings, database, no_wait=no_wait, as_json=as_json)
            else:
                found = await asyncio.to_thread(look_through, asked, name)
                if prune and not yes:
                    await _check_prune(database, found)
                how = {"prune": prune, "no_wait": no_wait, "as_json": as_json}
                await _ingest(settings, database, found, **how)

    run(work, as_json=as_json)


async def _ingest(
    settings: Settings,
    database: Database,
    given: Given,
    *,
    prune: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    client = await connect(settings)
    ingestion = Ingestion(client, database, settings.openai_embedding_model)
    if not no_wait:
        await _watched(client, ingestion, ingestion.ingest(given), quiet=as_json)
    else:
        await ingestion.ingest(given)
        await ingestion.make_index(unasked=True)
    deleted = await _pruned(database, given) if prune else []
    facts = {"deleted": deleted, "passed_over": given.passed_over}
    _tell(ingestion.tally, facts, no_wait=no_wait, as_json=as_json)


async def _reembed(settings: Settings, database: Database, *, no_wait: bool, as_json: bool) -> None:
    async with embedder_here(settings, database) as embedder:
        if embedder is None:
            raise ConfigurationError(
                "No embedding model is named: set OPENAI_EMBEDDING_MODEL, here and for the workers."
            )
        probe = await embedder.embed(["How long is a vector?"], SITE)
    dimension = len(probe.vectors[0])
    client = await connect(settings)
    ingestion = Ingestion(client, database, settings.openai_embedding_model)
    if no_wait:
        await ingestion.reembed(dimension)
        await ingestion.make_index(unasked=True)
    else:
        await _watched(client, ingestion, ingestion.reembed(dimension), quiet=as_json)
    _tell(ingestion.tally, {}, no_wait=no_wait, as_json=as_json)


async def _watched(client: Client, ingestion: Ingestion, handing: Any, *, quiet: bool) -> None:
    """Hand over, and wait for the jobs meanwhile and afterwards, showing how far it is."""
    company = Company(client, queues.POOL, queues.WORKFLOWS)
    shown = Shown("documents", quiet=quiet)
    handing = asyncio.ensure_future(handing)
    waiting = asyncio.ensure_future(
        ingestion.wait(lambda tally: show(shown, tally), lonely=company.missing)
    )
    try:
        with shown:
            company.watch(lambda: ingestion.tally.finished)
            await asyncio.wait({handing, waiting}, return_when=asyncio.FIRST_EXCEPTION)
            await handing
            missing = await waiting
    except asyncio.CancelledError:
        _tell_left(ingestion.tally)
        raise
    finally:
        handing.cancel()
        waiting.cancel()
        company.stop()
    if missing:
        fail(
            f"{ingestion.tally.open} documents are in the pool and safe, but {missing}. They go "
            f"on by themselves when `python -m workers` (or `durable-agents up`) runs; {SEE}.",
            EXIT_STILL_OPEN,
        )
    if await ingestion.make_index(unasked=False) and not quiet:
        note("An index of the vectors is being made; until it is there, search is slower.")


async def _check_prune(database: Database, given: Given) -> None:
    """Refuse to delete all documents of a folder because there is none in it any more.

    A folder that is not mounted, or was emptied by mistake, looks the same.

    Raises:
        InputError: That would be done.
    """
    known = [*(one.source for one in given.sources), *(source for source, _ in given.failures)]
    for folder in given.folders:
        if any(source.startswith(f"{folder}/") for source in known):
            continue
        async with database.statement() as connection:
            count = await library.count_under(connection, folder)
        if count:
            raise InputError(
                f"The folder {folder} has no documents in it, so --prune would delete all {count} "
                "that are known from it. Give --yes as well if that is what you want."
            )


async def _pruned(database: Database, given: Given) -> list[str]:
    """Delete what is gone from the folders that were looked through to their end."""
    known = {one.source for one in given.sources} | {source for source, _ in given.failures}
    async with database.transaction() as connection:
        gone = [await library.prune(connection, folder, known) for folder in given.folders]
    return [source for some in gone for source in some]


async def _delete(database: Database, names: list[str], *, as_json: bool) -> None:
    async with database.transaction() as connection:
        deleted, unknown = await library.delete_documents(connection, names)
    if as_json:
        print_json({"deleted": deleted, "unknown": unknown})
    else:
        say("\n".join(f"Deleted {source}." for source in deleted))
    if unknown:
        fail(
            f"No document has the id or source {', '.join(unknown)}. "
            "`durable-agents ingest --list` shows those there are.",
            EXIT_RUN_FAILED,
        )


async def _list(settings: Settings, database: Database, *, as_json: bool) -> None:
    async with database.statement() as connection:
        rows = await library.list_documents(connection, settings.openai_embedding_model)
    if as_json:
        print_json([vars(row) for row in rows])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "title", "source", "passages", "embedded"):
        table.add_column(column, overflow="fold")
    for row in rows:
        texts = (plain(one) for one in (row.document_id, row.title, row.source))
        table.add_row(*texts, str(row.chunks), str(row.embedded))
    out.print(table if rows else "No documents.")


def _tell_left(tally: Tally) -> None:
    """Say that the jobs go on although somebody pressed Ctrl-C."""
    rest = "" if tally.is_handed_over else " The rest is not handed over yet."
    note(
        f"{tally.open} documents go on without you: {SEE}, and the same command again goes on "
        f"watching.{rest}",
        style="yellow",
    )


def _tell(tally: Tally, facts: dict[str, Any], *, no_wait: bool, as_json: bool) -> None:
    """Say what came of it; end with 1 when something failed."""
    ingested = tally.done - tally.unchanged
    unchanged = tally.skipped + tally.unchanged
    failures = tally.all_failures
    if as_json:
        print_json(
            {
                "documents": tally.total,
                "ingested": ingested,
                "unchanged": unchanged,
                "passages": tally.chunks,
                "seconds": round(tally.seconds, 2),
                "waiting": len(tally.jobs) if no_wait else tally.open,
                "failed": [{"source": one, "reason": reason} for one, reason in failures],
                **facts,
            }
        )
    elif no_wait:
        say(f"{len(tally.jobs)} of {tally.total} documents are in the pool, {unchanged} unchanged.")
        note(f"{SEE}.")
    else:
        say(
            f"{tally.total} documents: {ingested} ingested, {unchanged} unchanged, "
            f"{len(failures)} failed; {tally.chunks} passages in {tally.seconds:.1f} s "
            f"({rate_of(tally)})."
        )
    _tell_rest(facts, failures)


def _tell_rest(facts: dict[str, Any], failures: list[tuple[str, str]]) -> None:
    if facts.get("passed_over"):
        note(f"{facts['passed_over']} files were passed over: pictures, sound or fonts.")
    for source in facts.get("deleted", ()):
        note(f"Deleted {source}: it is gone from its folder.")
    for source, reason in failures[:SHOWN_FAILURES]:
        note(reason if reason.startswith(source) else f"{source}: {reason}", "red")
    if len(failures) > SHOWN_FAILURES:
        note(f"… and {len(failures) - SHOWN_FAILURES} more; --json lists all.", "red")
    if failures:
        raise typer.Exit(EXIT_RUN_FAILED)


if __name__ == "__main__":
    main_of(ingest)
