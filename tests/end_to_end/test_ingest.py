"""Ingesting and searching as people do it: with a worker process, in a database of their own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from temporalio.client import Client

from durable_agents.db.migrate import upgrade
from durable_agents.runtime.settings import Settings
from tests.clients.loopback import answer, loopback, stream
from tests.commanding import COMMAND, Commands, ended, folder_for_commands, make_namespace
from tests.db.databases import created_database, execute
from tests.steering import Simulator
from tests.workflows.runs import token

NAMESPACE = "ingesting"


@pytest.fixture(scope="module")
async def own_url(database_url: str) -> AsyncIterator[str]:
    with created_database(database_url) as url:
        await upgrade(url)
        yield url


@pytest.fixture(scope="module")
async def alone_here(client: Client, own_url: str, settings: Settings) -> AsyncIterator[Commands]:
    """Commands on a database and in a namespace of their own, where nobody works."""
    await make_namespace(client, NAMESPACE)
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder), TEMPORAL_NAMESPACE=NAMESPACE, DATABASE_URL=own_url)


@pytest.fixture(scope="module")
async def command(alone_here: Commands) -> AsyncIterator[Commands]:
    """The same, with a worker."""
    async with alone_here.worker():
        yield alone_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two documents."""
    made = tmp_path / f"docs-{token()}"
    (made / "deep" / ".git").mkdir(parents=True)
    (made / "zither.md").write_text("# Zithers\n\nA zither has thirty strings.")
    (made / "deep" / "page.html").write_text("<title>Lutes</title><p>A lute has eight.</p>")
    (made / "deep" / ".git" / "config.txt").write_text("hidden")
    (made / "picture.png").write_bytes(b"\x89PNG")
    return made


async def ingested(command: Commands, *args: str, code: int = 0) -> Any:
    done = await command("ingest", *args, "--json")
    assert done.code == code, done.err
    return done.json


async def test_a_folder_is_ingested_found_left_alone_changed_and_pruned(
    command: Commands, folder: Path
) -> None:
    first = await ingested(command, str(folder))
    again = await ingested(command, str(folder))
    (folder / "zither.md").write_text("# Zithers\n\nThis one has a quixotic tuning.")
    (folder / "deep" / "page.html").unlink()
    changed = await ingested(command, str(folder), "--prune")
    found = await command("search", "quixotic zither", "--json")
    gone = await command("search", "lute", "--json")

    assert (first["documents"], first["ingested"], first["passages"]) == (2, 2, 2)
    assert (first["passed_over"], first["failed"]) == (1, [])
    assert (again["ingested"], again["unchanged"], again["passages"]) == (0, 2, 0)
    assert (changed["ingested"], changed["deleted"]) == (1, [f"{folder.name}/deep/page.html"])
    hit = found.json["hits"][0]
    assert (hit["title"], hit["source"]) == ("Zithers", f"{folder.name}/zither.md")
    assert hit["found_by"] == "both"
    assert "quixotic" in hit["excerpt"]
    assert found.json["note"] == ""
    assert f"{folder.name}/deep/page.html" not in {one["source"] for one in gone.json["hits"]}


async def test_an_empty_folder_is_pruned_only_when_that_is_said_twice(
    command: Commands, folder: Path
) -> None:
    await ingested(command, str(folder))
    for file in (folder / "zither.md", folder / "deep" / "page.html"):
        file.unlink()

    refused = await command("ingest", str(folder), "--prune")
    done = await ingested(command, str(folder), "--prune", "--yes")
    nothing_left = await ingested(command, str(folder), "--prune")

    assert refused.code == 2
    assert f"The folder {folder.name} has no documents in it" in refused.sentence
    assert "would delete all 2" in refused.sentence
    assert len(done["deleted"]) == 2
    assert nothing_left["deleted"] == []


async def test_the_command_says_how_fast_it_was_and_search_shows_sources(
    command: Commands, folder: Path
) -> None:
    done = await command("ingest", str(folder), "--as", "music")
    found = await command("search", "How many strings has a zither?", COLUMNS="200")
    listed = await command("ingest", "--list", COLUMNS="200")

    assert done.code == 0
    assert "2 documents: 2 ingested, 0 unchanged, 0 failed; 2 passages in " in done.out
    assert "passages/s" in done.out
    assert any("Zithers  music/zither.md  0.03" in line for line in found.out.splitlines())
    assert "music/zither.md" in listed.out


async def test_what_cannot_be_ingested_is_listed_with_its_reason_and_the_rest_is_done(
    command: Commands, folder: Path
) -> None:
    (folder / "empty.md").write_text("")
    (folder / "blob.bin").write_bytes(b"\x00\x01")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    with (folder / "huge.txt").open("wb") as huge:
        huge.truncate(50_000_000)
    async with loopback(
        page=answer("Oboes have reeds."), large=stream([b"x" * 1_000_000], times=50)
    ) as server:
        told = await ingested(
            command,
            *(str(folder), str(folder / "nothing.md"), f"{server.url}/page", f"{server.url}/large"),
            code=1,
        )

    reasons = {one["source"].rpartition("/")[2]: one["reason"] for one in told["failed"]}
    assert told["ingested"] == 2
    assert reasons["empty.md"].endswith("is empty.")
    assert "is a binary file" in reasons["blob.bin"]
    assert "is a broken PDF" in reasons["broken.pdf"]
    assert reasons["huge.txt"].startswith("It has 50,000,000 bytes; 20,000,000 are read at most")
    assert reasons["nothing.md"] == "There is no such file."
    assert "may not be fetched" in reasons["page"]
    assert len(reasons) == 7


async def test_an_unreadable_file_is_told_in_one_sentence(
    command: Commands, tmp_path: Path
) -> None:
    loop = tmp_path / "loop.md"
    loop.symlink_to(loop)

    told = await command("ingest", str(loop), "--json")

    assert told.code == 1
    assert told.json["failed"][0]["reason"].startswith("It cannot be read: ")


@pytest.mark.parametrize(
    "args",
    [
        ["ingest"],
        ["ingest", "a", "--list"],
        ["ingest", "--prune"],
        ["ingest", "a", "--delete", "--prune"],
        ["search", "  "],
    ],
    ids=" ".join,
)
async def test_what_makes_no_sense_is_refused(alone_here: Commands, args: list[str]) -> None:
    told = await alone_here(*args)

    assert told.code == 2
    assert told.sentence


async def test_two_files_with_one_name_are_refused(alone_here: Commands, tmp_path: Path) -> None:
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "same.md").write_text("text")

    told = await alone_here("ingest", str(tmp_path / "a/same.md"), str(tmp_path / "b/same.md"))

    assert told.code == 2
    assert "--as NAME" in told.sentence


async def test_documents_are_deleted_by_id_or_source(command: Commands, folder: Path) -> None:
    await ingested(command, str(folder))

    told = await command("ingest", "--delete", f"{folder.name}/zither.md", "nobody")
    again = await command("ingest", "--delete", f"{folder.name}/zither.md")

    assert told.code == again.code == 1
    assert f"Deleted {folder.name}/zither.md." in told.out
    assert "No document has the id or source nobody." in told.err


async def test_ctrl_c_leaves_the_jobs_and_the_command_again_goes_on(
    command: Commands, folder: Path, simulator: Simulator
) -> None:
    word = token()
    (folder / "zither.md").write_text(f"# Slow\n\n{word}")
    slow = {"kind": "latency", "latency_s": 4, "route": "embeddings"}

    async with simulator.faults(word, slow):
        process = await command.start([COMMAND, "ingest", str(folder)])
        while not await simulator.calls(word, "embeddings"):  # noqa: ASYNC110 - of a server
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        left = await ended(process)
        told = await ingested(command, str(folder))

    assert left.code == 130
    assert "go on without you" in left.err
    assert "`durable-agents pool status ingest`" in left.err
    assert told["documents"] == told["ingested"] + told["unchanged"] == 2
    assert len(await simulator.calls(word, "embeddings")) == 1


async def test_documents_that_nobody_works_on_are_told_of_and_stay_in_the_pool(
    unattended: Commands, folder: Path, database_url: str
) -> None:
    with created_database(database_url) as url:
        await upgrade(url)
        told = await unattended.soon_impatient("ingest", str(folder), DATABASE_URL=url)

    assert told.code == 4
    assert "2 documents are in the pool and safe, but nobody works on" in told.last


async def test_nobody_has_to_wait(command: Commands, folder: Path) -> None:
    told = await ingested(command, str(folder), "--no-wait")

    assert told["waiting"] == 2
    again = await ingested(command, str(folder))
    assert again["ingested"] + again["unchanged"] == 2


async def test_reembedding_moves_what_has_no_vector_of_the_current_model(
    command: Commands, own_url: str, folder: Path
) -> None:
    await ingested(command, str(folder))
    another, nowhere = "another", "http://127.0.0.1:9/v1"
    listed = await command("ingest", "--list", "--json", OPENAI_EMBEDDING_MODEL=another)
    words = await command(
        *("search", "zither strings", "--json"),
        OPENAI_EMBEDDING_MODEL=another,
        OPENAI_BASE_URL=nowhere,
    )
    old = sql.SQL("UPDATE chunks SET embedding_model = 'old' WHERE starts_with(document_id, {})")
    execute(own_url, old.format(sql.Literal(f"{folder.name}/")))

    moved = await ingested(command, "--reembed")
    again = await ingested(command, "--reembed")

    assert {one["embedded"] for one in listed.json} == {0}
    assert words.json["note"].startswith("Only words were looked for: ")
    assert words.json["hits"][0]["found_by"] == "words"
    assert (moved["documents"], moved["ingested"], moved["passages"]) == (2, 2, 2)
    assert again["documents"] == 0


async def test_names_and_queries_that_are_no_text_are_told_of_and_the_rest_is_done(
    command: Commands, folder: Path
) -> None:
    odd = folder.parent / os.fsdecode(b"odd\xff.txt")
    odd.write_text("Text.")

    told = await ingested(command, str(odd), str(folder / "zither.md"), code=1)
    found = await command("search", os.fsdecode(b"\xff zither"), "--json")

    assert [one["reason"] for one in told["failed"]] == ["The file's name is not printable."]
    assert told["ingested"] + told["unchanged"] == 1
    assert found.code == 0
    assert found.json["hits"][0]["source"].endswith("zither.md")


async def test_two_who_ingest_the_same_folder_at_once_embed_it_once(
    command: Commands, tmp_path: Path, simulator: Simulator
) -> None:
    word, made = token(), tmp_path / token()
    made.mkdir()
    for number in range(30):
        (made / f"{number}.md").write_text(f"{word} {number}")

    told = await asyncio.gather(*(ingested(command, str(made)) for _ in range(3)))

    assert [one["ingested"] + one["unchanged"] for one in told] == [30] * 3
    assert len(await simulator.calls(word, "embeddings")) == 30
