"""`durable-agents pool …` as people use it, and what it refuses."""

import pytest
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.kinds.noop import NOOP, NoopPayload
from tests.commanding import Commands
from tests.db.pooling import pool_name
from tests.workflows.runs import until

pytestmark = pytest.mark.usefixtures("service")


async def new_pool(command: Commands, *args: str) -> str:
    pool = pool_name()
    made = await command("pool", "create", pool, *args, "--json")
    assert made.code == 0, made.err
    return pool


async def put_in(
    client: Client, database: Database, pool: str, *payloads: NoopPayload
) -> list[int]:
    new = [NOOP.new(payload, tenant="t-1") for payload in payloads]
    return await lanes.submit(client, database, pool, new)


async def until_status(command: Commands, pool: str, **counts: int) -> None:
    async def there() -> bool:
        return (await command("pool", "status", pool, "--json")).json["counts"] == counts

    await until(there, f"{pool}: {counts}", within=40)


async def test_a_pool_is_made_filled_looked_at_and_listed(
    command: Commands, commanded: Client, database: Database
) -> None:
    pool = await new_pool(command, "--parallelism", "2")
    good, bad = await put_in(commanded, database, pool, NoopPayload(), NoopPayload(is_final=True))

    await until_status(command, pool, done=1, failed=1)
    shown = await command("pool", "status", pool)
    listed = await command("pool", "list", "--json")
    failed = await command("pool", "jobs", pool, "--status", "failed", "--json")
    told = await command("pool", "jobs", pool)

    assert "t-1" in shown.out
    row = next(each for each in listed.json if each["pool"] == pool)
    assert (row["max_parallelism"], row["counts"]) == (2, {"done": 1, "failed": 1})
    assert [(each["job_id"], each["error_type"]) for each in failed.json] == [(bad, "InputError")]
    assert str(good) in told.out
    assert pool in (await command("pool", "list", COLUMNS="200")).out


async def test_a_pool_is_paused_resized_and_resumed(
    command: Commands, commanded: Client, database: Database
) -> None:
    pool = await new_pool(command)
    paused = await command("pool", "pause", pool)
    await put_in(commanded, database, pool, NoopPayload())
    during = await command("pool", "status", pool, "--json")

    resized = await command("pool", "resize", pool, "3")
    resumed = await command("pool", "resume", pool)

    assert paused.out == f"Pool {pool} is paused.\n"
    assert (during.json["is_paused"], during.json["counts"]) == (True, {"queued": 1})
    assert resized.out == f"Pool {pool} is paused.\n"
    assert resumed.out == f"Pool {pool} runs 3 jobs at once.\n"
    await until_status(command, pool, done=1)


async def test_jobs_are_cancelled_one_and_all(
    command: Commands, commanded: Client, database: Database
) -> None:
    pool = await new_pool(command, "--parallelism", "1")
    slow = NoopPayload(seconds=600)
    first, second, _ = await put_in(commanded, database, pool, slow, slow, slow)
    await until_status(command, pool, running=1, queued=2)

    waiting = await command("pool", "cancel", pool, str(second))
    running = await command("pool", "cancel", pool, str(first))
    everything = await command("pool", "cancel", pool, "--all", "--json")

    assert waiting.out == "Cancelled.\n"
    assert running.out == "It runs, and was told to stop.\n"
    assert everything.code == 0
    await until_status(command, pool, cancelled=3)
    again = await command("pool", "cancel", pool, str(first))
    assert again.out == "Cancelled.\n"


@pytest.mark.parametrize(
    "args", [("status",), ("pause",), ("resume",), ("resize", "3"), ("jobs",), ("cancel", "--all")]
)
async def test_an_unknown_pool_is_one_sentence_that_names_those_there_are(
    command: Commands, args: tuple[str, ...]
) -> None:
    await new_pool(command)
    name = pool_name()

    ended = await command("pool", args[0], name, *args[1:])

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(f"There is no pool {name}. There are: ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("resize", "NAME", "-1"), "A pool cannot run -1 jobs at once: give a number from 0"),
        (("create", "NAME", "--parallelism", "-1"), "A pool cannot run -1 jobs at once"),
        (("create", "Not a name"), "The input is not usable"),
        (("cancel", "NAME"), "Name one job by its id, or give --all."),
        (("cancel", "NAME", "1", "--all"), "Name one job by its id, or give --all."),
        (("jobs", "NAME", "--status", "lost"), "No job is ever lost: give one of queued"),
    ],
)
async def test_what_does_not_fit_is_one_sentence(
    command: Commands, args: tuple[str, ...], said: str
) -> None:
    pool = await new_pool(command)

    ended = await command("pool", *(pool if arg == "NAME" else arg for arg in args))

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(said)
