"""What is killed, restarted, restored or replaced loses and doubles nothing."""

import asyncio
from typing import Any

import httpx2
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.models.debug import DebugInput, DebugResult
from tests.containers.stack import WORKERS, Stack, docker, page, report
from tests.containers.working import Work, database_of, result_of, until
from tests.workflows import reviewing, runs

AT_ONCE = 12
PAUSE_S = 120  # of a run that outlives the workers that began it
VOLUMES = ("temporal-data", "postgres-data")


async def test_a_worker_that_is_killed_loses_and_doubles_nothing(stack: Stack, work: Work) -> None:
    for _ in range(AT_ONCE):
        await work.start()
    victim = (await stack.containers("worker"))[0]

    await docker("kill", victim)
    for _ in range(AT_ONCE):
        await work.start()
    await stack.up()

    report(f"a worker container was killed: {await work.tally()}")
    assert len(await stack.containers("worker")) == WORKERS


async def test_a_temporal_server_that_is_killed_loses_and_doubles_nothing(
    stack: Stack, work: Work
) -> None:
    for _ in range(AT_ONCE):
        await work.start()

    await stack.must("kill", "temporal")
    await stack.up()

    report(f"the Temporal container was killed: {await work.tally()}")


async def test_a_restart_of_the_workers_under_load_loses_and_doubles_nothing(
    stack: Stack, work: Work
) -> None:
    over = asyncio.Event()
    starting = asyncio.ensure_future(work.go_on(over))
    await asyncio.sleep(0)

    await stack.must("restart", "worker")
    await stack.up()
    over.set()
    await starting

    report(f"`docker compose restart worker` under load: {await work.tally()}")


async def test_after_a_reboot_services_wait_for_what_comes_up_later(
    stack: Stack, work: Work
) -> None:
    await stack.must("stop", "temporal", "postgres")
    await stack.must("restart", "worker", "inbox")
    database, temporal = "Waiting: The database does not answer", "Waiting: The Temporal server"

    await until(lambda: _all_wait(stack, database), "every worker waits for PostgreSQL")
    await until(lambda: _says(stack, "inbox", database), "so does the page")
    await stack.must("start", "postgres")
    await until(lambda: _all_wait(stack, temporal), "every worker waits for Temporal")
    await stack.must("start", "temporal")
    await stack.up()
    await work.start()

    report(f"after a reboot: {await work.tally()}")
    for one in await stack.containers("worker"):
        restarts = await docker("inspect", "--format", "{{.RestartCount}}", one)
        assert restarts.text.strip() == "0"


async def _all_wait(stack: Stack, sentence: str) -> bool:
    """Whether every worker says on the page of its health that it waits for something."""
    try:
        answers = [await page(port, "/healthz") for port in stack.worker_ports]
    except httpx2.HTTPError:  # it starts
        return False
    told = [one.json().get("reason", "") for one in answers if one.status_code == 503]
    return len(told) == WORKERS and all(reason.startswith(sentence) for reason in told)


async def _says(stack: Stack, service: str, sentence: str) -> bool:
    return sentence in await stack.log(service)


async def test_a_back_up_of_both_databases_is_restored_and_runs_go_on(
    stack: Stack, there: Client, work: Work
) -> None:
    async with database_of(stack) as rows:
        review = await reviewing.start(there, await reviewing.new_task(rows))
        await until(lambda: _asks(rows, review), "a review waits for a person")
    for _ in range(AT_ONCE):
        await work.start()

    await stack.must("stop")
    for volume in VOLUMES:
        await stack.tar(volume, "-cf", f"/backup/{volume}.tar", ".")
    sizes = [f"{name} {file.stat().st_size / 1e6:.0f} MB" for name, file in stack.backups()]
    await stack.must("down", "--volumes")
    await stack.must("create")
    for volume in VOLUMES:
        await stack.tar(volume, "-xf", f"/backup/{volume}.tar")
    await stack.up()
    async with database_of(stack) as rows:
        (asked,) = await reviewing.rows_of(rows, review)
    approved = ("durable-agents", "decide", str(asked.request_id), "--approve", "--by", "maria")
    decided = await stack.compose("exec", "-T", "worker", *approved)
    result = await result_of(review)

    assert decided.code == 0, decided.text
    assert result.status == "approved"
    report(f"backed up ({', '.join(sizes)}), removed and restored: {await work.tally()}")


async def _asks(database: Database, handle: WorkflowHandle[Any, Any]) -> bool:
    return bool(await reviewing.rows_of(database, handle))


async def test_a_worker_of_an_old_version_ends_its_runs_beside_the_new_one(
    stack: Stack, there: Client
) -> None:
    old, new = (stack.env_with(WORKER_BUILD_ID=name) for name in ("v1", "v2"))
    kept, asked = f"{stack.project}-v1", ("exec", "-T", "worker", "durable-agents", "versions")
    await stack.must("up", "--detach", "--wait", env_file=old)
    given = DebugInput(values=(1, 2), pause_s=PAUSE_S)
    pinned = await runs.start(there, "DebugWorkflow", given, result_type=DebugResult)
    once = ("run", "--detach", "--no-deps", "--name", kept, "-e", "WORKER_BUILD_ID=v1", "worker")
    await stack.must(*once, env_file=old)

    try:
        updated = await docker("update", "--restart", "unless-stopped", kept)
        await stack.must("up", "--detach", "--wait", env_file=new)
        before = await stack.compose(*asked, "drained", "v1", env_file=new)
        result = await result_of(pinned)
        after = await stack.must(*asked, "drained", "v1", "--wait", env_file=new)
    finally:
        stopped = await docker("stop", kept)
        await docker("rm", "--force", kept)
        await stack.up()

    assert (updated.code, stopped.code, before.code) == (0, 0, 4), before.text
    assert result.total == 3
    assert "can be stopped" in after.text
    report("a run that is pinned ended on its old version, beside the new one")
