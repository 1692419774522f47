"""`durable-agents batch …` and `process-documents` as people use them."""

import asyncio
import json
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from durable_agents.db.engine import Database
from durable_agents.db.ranks import LOCK_SEED
from tests.commanding import COMMAND, Commands, ended
from tests.db.pooling import pool_name
from tests.workflows.runs import until

pytestmark = pytest.mark.usefixtures("service")


def a_file(folder: Path, *lines: str) -> Path:
    """A file of lines, of which no other test has the same."""
    path = folder / f"lines-{secrets.token_hex(4)}.jsonl"
    mark = json.dumps({"values": [secrets.randbelow(10**9)]})
    path.write_text("\n".join([mark, *lines]) + "\n")
    return path


def values(*numbers: int, **options: Any) -> str:
    return json.dumps({"values": numbers, **options})


def outcomes(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def jobs_of(command: Commands, pool: str) -> list[dict[str, Any]]:
    return (await command("pool", "jobs", pool, "--json")).json


async def test_a_flow_runs_for_every_line_and_a_line_that_is_not_json_is_told_by_its_number(
    command: Commands, tmp_path: Path
) -> None:
    source = a_file(tmp_path, values(3, 4, 5), "not json", '{"valeus": [1]}', values(7))
    output, pool = tmp_path / "out.jsonl", pool_name()

    ended = await command(
        *("batch", "debug", str(source), "--output", str(output), "--pool", pool, "--tenant", "t-1")
    )

    assert ended.code == 1
    assert ended.out == f"5 lines: 3 done, 2 invalid. See {output}.\n"
    told = outcomes(output)
    assert [one["line"] for one in told] == [1, 2, 3, 4, 5]
    assert [one["status"] for one in told] == ["done", "done", "invalid", "invalid", "done"]
    assert told[1]["result"]["total"] == 12
    assert told[2]["error"]["message"].startswith("The line is not JSON: ")
    assert told[3]["error"]["message"].startswith("The flow takes no 'valeus'")
    rows = await jobs_of(command, pool)
    assert {(row["tenant"], row["status"]) for row in rows} == {("t-1", "done")}
    assert len(rows) == 3


async def test_started_again_or_twice_at_once_it_does_each_line_once(
    command: Commands, tmp_path: Path
) -> None:
    source, pool = a_file(tmp_path, values(1), values(2)), pool_name()
    args = ("batch", "debug", str(source), "--pool", pool)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"

    both = await asyncio.gather(
        command(*args, "--output", str(first)), command(*args, "--output", str(second))
    )
    again = await command(*args, "--output", str(second), "--json")

    assert [ended.code for ended in both] == [0, 0], [ended.err for ended in both]
    assert outcomes(first) == outcomes(second)
    assert again.json["counts"] == {"done": 3}
    assert len(await jobs_of(command, pool)) == 3


async def test_after_ctrl_c_the_jobs_go_on_and_the_same_command_goes_on_watching(
    command: Commands, tmp_path: Path
) -> None:
    source = a_file(tmp_path, values(1, pause_s=3), values(2))
    output, pool = tmp_path / "out.jsonl", pool_name()
    args = ["batch", "debug", str(source), "--pool", pool, "--output", str(output)]
    process = await command.start([COMMAND, *args])

    async def at_work() -> bool:
        listed = await command("pool", "jobs", pool, "--json")
        return listed.code == 0 and len(listed.json) == 3

    await until(at_work, "the jobs are in the pool", within=40)
    process.send_signal(signal.SIGINT)
    left = await ended(process)
    was_there = output.exists()
    done = await command(*args)

    assert left.code == 130
    assert "go on without you; the same command again goes on." in left.err
    assert not was_there
    assert done.code == 0
    assert [one["status"] for one in outcomes(output)] == ["done"] * 3


async def test_without_waiting_the_output_is_written_another_time(
    command: Commands, tmp_path: Path
) -> None:
    source, output = a_file(tmp_path), tmp_path / "out.jsonl"
    named = ("--name", f"n-{secrets.token_hex(4)}", "--pool", pool_name())

    started = await command("batch", "debug", str(source), *named, "--no-wait", "--json")
    done = await command("batch", "debug", str(source), *named, "--output", str(output))
    source.write_text(values(1) + "\n")
    changed = await command("batch", "debug", str(source), *named, "--output", str(output))
    other = await command("batch", "tracked", str(source), *named, "--output", str(output))

    assert (started.code, started.json["lines"]) == (0, 1)
    assert done.code == 0
    for refused in (changed, other):
        assert refused.code == 2
        assert "was begun with other lines or another flow" in refused.sentence


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("no-such-flow", "SOURCE", "--no-wait"), "There is no flow no-such-flow. There are: "),
        (("status", "SOURCE", "--no-wait"), "There is no flow status. There are: "),
        (("debug", "none.jsonl", "--no-wait"), "none.jsonl is no file."),
        (("debug", "SOURCE"), "Give --output OUT.jsonl, or --no-wait"),
        (("debug", "SOURCE", "--output", "no/folder/out"), "no/folder/out cannot be written"),
        (("debug", "SOURCE", "--output", "SOURCE"), "is the input. Give another file"),
        (("debug", "SOURCE", "--no-wait", "--name", "a b"), "A --name has letters, digits"),
        (("debug", "SOURCE", "--no-wait", "--pool", "Not A Pool"), "The input is not usable"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_done_is_one_sentence(
    command: Commands, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    source = str(a_file(tmp_path))

    ended = await command("batch", *(source if arg == "SOURCE" else arg for arg in args))

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.sentence


async def test_lines_that_failed_run_once_more_when_asked_for_and_the_others_stay_done(
    command: Commands, tmp_path: Path
) -> None:
    source = a_file(tmp_path, values(1, deadline_s=0.1, pause_s=1))
    output, pool, name = tmp_path / "out.jsonl", pool_name(), f"n-{secrets.token_hex(4)}"
    args = ("batch", "debug", str(source), "--output", str(output), "--pool", pool, "--name", name)
    retry_soon = (
        "import starters.batching as b; from durable_agents.models.jobs import JobRetry;"
        "b.RETRY = JobRetry(attempts=1); import starters.main; starters.main.main()"
    )

    first = await command.program(sys.executable, "-c", retry_soon, *args)
    before = outcomes(output)
    again = await command.program(sys.executable, "-c", retry_soon, *args, "--retry-failed")
    listed = await command("pool", "jobs", pool, "--batch", f"batch/{name}", "--json")
    none = await command("pool", "jobs", pool, "--batch", "another", "--json")

    assert (first.code, [one["status"] for one in before]) == (1, ["done", "failed"])
    assert "--retry-failed runs the lines that failed once more." in first.err
    assert "1 lines that had failed are run once more." in again.err
    assert [(row["status"], row["failures"]) for row in listed.json] == [("done", 0), ("failed", 2)]
    assert outcomes(output)[0] == before[0]
    assert none.json == []


AT_ONCE_TWO = (
    "import starters.process_documents as p; p.AT_ONCE = 2; import starters.main;"
    "starters.main.main()"
)


async def test_a_command_that_was_killed_while_it_filled_its_batch_is_taken_up(
    command: Commands, database: Database
) -> None:
    pool = pool_name()
    ids = ("warranty", "shipping", "refund-policy", "no-such-document")
    args = ("process-documents", *ids, "--pool", pool, "--parallelism", "2", "--json")
    count = text("SELECT count(*) FROM jobs WHERE pool = :pool")
    lock = text("SELECT pg_advisory_lock(hashtextextended(:pool, :seed))")
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND (classid::bigint << 32) + objid::bigint"
        " = hashtextextended(:pool, :seed)"
    )
    values = {"pool": pool, "seed": LOCK_SEED}  # who puts jobs in waits for this lock

    async def asked(query: Any) -> int:
        async with database.statement() as connection:
            return int(await connection.scalar(query, values) or 0)

    async def one_waits() -> bool:
        return await asked(waiting) == 1

    async def two_wait() -> bool:
        return await asked(waiting) == 2

    async with database.statement() as first, database.statement() as second:
        await first.execute(lock, values)
        process = await command.start([sys.executable, "-c", AT_ONCE_TWO, *args])
        await until(one_waits, "the command waits to put documents in", within=40)
        after_the_first_two = asyncio.ensure_future(second.execute(lock, values))
        await until(two_wait, "the test waits behind it", within=10)
        await first.invalidate()
        await after_the_first_two
        await until(one_waits, "the command waits to put the others in", within=10)
        process.kill()
        await process.wait()
        left = await asked(count)
        await second.invalidate()
    again = await command(*args)

    assert left == 2
    assert "A command that was killed left 2 of them in the pool; it goes on." in again.err
    assert (again.json["total"], again.json["done"], again.json["failed"]) == (4, 3, 1)
    assert await asked(count) == 4


async def test_documents_come_as_arguments_or_from_standard_input(command: Commands) -> None:
    pool = pool_name()

    named = await command("process-documents", "warranty", "shipping", "--pool", pool)
    read = await command(
        *("process-documents", "-", "--pool", pool, "--parallelism", "3", "--json"),
        stdin=b"refund-policy\n\nno-such-document\nrefund-policy\n",
    )

    assert (named.code, named.out) == (0, "2 of 2 documents analysed, 0 failed.\n")
    assert read.code == 1
    assert (read.json["total"], read.json["done"], read.json["failed"]) == (2, 1, 1)
    assert read.json["failures"][0]["document_id"] == "no-such-document"
    assert (await command("pool", "status", pool, "--json")).json["max_parallelism"] == 3


async def test_all_documents_of_the_knowledge_base_are_analysed(command: Commands) -> None:
    there = (await command("ingest", "--list", "--json")).json

    done = await command("process-documents", "--all", "--pool", pool_name(), "--json")

    assert done.json["total"] == len(there) >= 5


async def test_a_run_that_cannot_be_started_leaves_nothing_in_the_pool(command: Commands) -> None:
    pool, run = pool_name(), f"run-{secrets.token_hex(4)}"
    slow = await command("debug", "1", "--pause", "20", "--id", run, "--no-wait")

    refused = await command("process-documents", "--all", "--pool", pool, "--id", run)

    assert (slow.code, refused.code) == (0, 2)
    assert f"A run with the id {run} is at work already." in refused.sentence
    counts = (await command("pool", "status", pool, "--json")).json["counts"]
    assert set(counts) <= {"cancelled", "running", "done"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "Give document ids, as arguments, with --file PATH"),
        (("warranty", "--all"), "Give document ids, as arguments, with --file PATH"),
        (("--file", "no-such-file"), "no-such-file cannot be read"),
        (("x" * 201,), "is no id of a document"),
        (("a", "--pool", "Not A Pool"), "The input is not usable: pool"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_documents_that_cannot_be_named_are_one_sentence(
    command: Commands, args: tuple[str, ...], said: str
) -> None:
    ended = await command("process-documents", *args)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.sentence
