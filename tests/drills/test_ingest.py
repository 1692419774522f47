"""A drill: the worker that ingests 200 files is killed in the middle, and another one goes on.

Every document is there once, with all its passages, and each of them has its vector. What was
seen is printed (`pytest -s`).
"""

import asyncio
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.client import Client

from durable_agents.db.chunking import split
from durable_agents.db.engine import Database
from durable_agents.db.migrate import upgrade
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, folder_for_commands, make_namespace
from tests.db.databases import created_database
from tests.workflows.runs import until

FILES = 200
SECTIONS = 8
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Drill:
    """A namespace and a database of their own."""

    command: Commands
    database: Database

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[Process]:
        """A worker process that polls."""
        argv = [sys.executable, "-m", "workers.process", "--roles", "workflows,pool"]
        process = await self.command.start(argv, stdin=PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        told = asyncio.ensure_future(process.stderr.read())
        try:
            async with asyncio.timeout(90):
                assert await process.stdout.readline() == b"ready\n"
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await told

    async def number(self, query: str) -> int:
        """What a query counts."""
        async with self.database.statement() as connection:
            return int(await connection.scalar(text(query)) or 0)

    async def until_at_least(self, count: int, query: str, *, within: float) -> None:
        """Wait until a query counts so many."""

        async def there() -> bool:
            await asyncio.sleep(LOOK_EVERY_S)
            return await self.number(query) >= count

        await until(there, f"{query} gives {count}", within=within)

    async def kill_at_work(self, process: Process) -> int:
        """Kill a worker while it holds jobs; tells how many."""
        for _ in range(200):
            process.send_signal(signal.SIGSTOP)
            held = await self.number(RUNNING)
            if held:
                process.kill()
                return held
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.02)
        raise AssertionError("the worker never held jobs")


RUNNING = "SELECT count(*) FROM jobs WHERE status = 'running'"
DONE = "SELECT count(*) FROM jobs WHERE status = 'done' AND kind = 'ingest_document'"
DOCUMENTS = "SELECT count(*) FROM documents"
HANDED_OUT_AGAIN = "SELECT count(*) FROM jobs WHERE fence > 1"
UPLOADS = "SELECT count(*) FROM uploads"
NOT_EMBEDDED = "SELECT count(*) FROM chunks WHERE embedding IS NULL"
PASSAGES = """
    SELECT d.source, array_agg(c.content ORDER BY c.position) AS passages
    FROM documents d JOIN chunks c USING (document_id) GROUP BY d.document_id, d.source
"""


@pytest.fixture
async def drill(client: Client, settings: Settings, database_url: str) -> AsyncIterator[Drill]:
    name = f"ingest-{secrets.token_hex(4)}"
    await make_namespace(client, name)
    with created_database(database_url) as url, folder_for_commands() as folder:
        await upgrade(url)
        database = Database(url)
        try:
            command = Commands(settings, Path(folder), TEMPORAL_NAMESPACE=name, DATABASE_URL=url)
            yield Drill(command, database)
        finally:
            await database.close()


def files_in(folder: Path) -> dict[str, tuple[str, str]]:
    """Write the files; titles and texts by their sources."""
    folder.mkdir()
    made = dict[str, tuple[str, str]]()
    for number in range(FILES):
        title = f"Guide {number}"
        sections = (
            f"## Part {part}\n\n" + f"Of guide {number}, part {part}, this is told. " * 30
            for part in range(SECTIONS)
        )
        content = f"# {title}\n\n" + "\n\n".join(sections)
        (folder / f"guide-{number}.md").write_text(content)
        made[f"{folder.name}/guide-{number}.md"] = (title, content)
    return made


async def test_every_document_is_there_once_although_its_worker_was_killed(
    drill: Drill, tmp_path: Path
) -> None:
    folder = tmp_path / "guides"
    made = files_in(folder)

    async with drill.worker() as first:
        await drill.command("pool", "create", "ingest", "--parallelism", "10")
        await drill.command("pool", "pause", "ingest")
        given = await drill.command("ingest", str(folder), "--no-wait", "--json")
        await drill.command("pool", "resume", "ingest")
        await drill.until_at_least(FILES // 10, DOCUMENTS, within=60)
        held = await drill.kill_at_work(first)
    when_killed = await drill.number(DOCUMENTS)
    async with drill.worker():
        await drill.until_at_least(FILES, DONE, within=90)
        again = await drill.command("ingest", str(folder), "--json")

    async with drill.database.statement() as connection:
        rows = (await connection.execute(text(PASSAGES))).all()
    print(
        f"{FILES} files; the worker was killed when {when_killed} were there and it held {held}; "
        f"{await drill.number(HANDED_OUT_AGAIN)} were handed out again"
    )
    assert given.json["waiting"] == FILES
    assert when_killed < FILES
    assert await drill.number(HANDED_OUT_AGAIN) > 0  # those that it had not begun need no more
    assert len(rows) == FILES
    assert {row.source: list(row.passages) for row in rows} == {
        source: split(*what) for source, what in made.items()
    }
    assert (await drill.number(NOT_EMBEDDED), await drill.number(UPLOADS)) == (0, 0)
    assert (again.json["unchanged"], again.json["ingested"]) == (FILES, 0)
