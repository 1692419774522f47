"""`python -m workers` as a service: roles, health, metrics, restarts, draining, refusals."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import Client

from durable_agents.models import queues
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.settings import Settings
from starters.presence import has_workers
from tests.commanding import Commands, folder_for_commands, make_namespace
from workers import process
from workers.roles import ALIVE, READY

GRACE_S = 2
WAIT = {"STARTUP_WAIT_S": "600"}  # what waiting cannot mend is not waited for


@pytest.fixture(scope="module")
async def command(client: Client, settings: Settings) -> AsyncIterator[Commands]:
    await make_namespace(client, "workers")
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder), TEMPORAL_NAMESPACE="workers")


async def test_a_role_works_on_its_own_queue_and_who_is_missing_is_named(
    client: Client, settings: Settings, command: Commands
) -> None:
    await make_namespace(client, "roles")
    there = {"TEMPORAL_NAMESPACE": "roles"}
    observer = await connect(settings.model_copy(update={"temporal_namespace": "roles"}))
    names = (queues.WORKFLOWS, queues.LLM, queues.TOOLS, queues.POOL)

    async with command.worker("--role", "workflows", **there):
        alone = await command.soon_impatient("react", "hello", "--json", **there)
        async with command.worker("--role", "llm", **there):
            together = await command("react", "hello", "--json", stdin=None, **there)
            polled = [name for name in names if await has_workers(observer, name)]

    assert alone.code == 4
    assert f"(nobody works on {queues.LLM})" in alone.sentence
    assert together.code == 0
    assert together.json["answer"]
    assert polled == [queues.WORKFLOWS, queues.LLM]


async def test_two_processes_show_one_health_and_merged_metrics_and_one_is_replaced(
    command: Commands,
) -> None:
    async with command.worker("--processes", "2", WORKER_SHUTDOWN_GRACE_S=str(GRACE_S)) as service:
        health = (await service.get("/healthz")).json()
        metrics = (await service.get("/metrics")).text
        victim = int(health["processes"][1]["pid"])
        os.kill(victim, signal.SIGKILL)
        pids = await service.until_ready(but_not=victim)
        began = time.monotonic()
        code = await service.stop()

    took = time.monotonic() - began
    families = list(text_string_to_metric_families(metrics))
    samples = [sample for family in families for sample in family.samples]
    slots = [sample for sample in samples if sample.name == "temporal_worker_task_slots_available"]
    assert health["ready"] is True
    assert [one["process"] for one in health["processes"]] == [0, 1]
    assert {sample.labels["process"] for sample in slots} == {"0", "1"}
    assert len({family.name for family in families}) == len(families)
    assert len(set(pids)) == 2
    assert "Worker process 1 ended with -9; it is started again." in service.said
    assert code == 0
    assert took < GRACE_S + 5


async def test_a_process_that_polls_gives_signs_of_life_after_it_said_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    quick = partial(process.give_signs_of_life, every_s=0.01)
    monkeypatch.setattr(process, "give_signs_of_life", quick)
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    running = asyncio.ensure_future(process.run(settings, ["tools"]))
    told: list[str] = []

    async with asyncio.timeout(60):
        while told.count(ALIVE) < 2:
            await asyncio.sleep(0.01)
            told += capfd.readouterr().out.splitlines()
    os.kill(os.getpid(), signal.SIGTERM)
    await running

    for one, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(one)
        signal.signal(one, handler)
    assert told[0] == READY
    assert set(told[1:]) == {ALIVE}


async def test_when_the_supervisor_is_killed_its_processes_end_at_once(command: Commands) -> None:
    async with command.worker() as service:
        (pid,) = await service.until_ready()
        service.process.kill()
        await service.process.wait()
        async with asyncio.timeout(5):
            while process_identity(pid):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    assert not process_identity(pid)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "The database does not answer"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:1", "OPENAI_API_KEY": "x"}, "The Temporal server at"),
        ({"TEMPORAL_NAMESPACE": "nowhere", **WAIT}, "The Temporal server at"),
        ({"STATE_DIR": "nowhere", **WAIT}, "No database is named. "),
        ({"SIMULATOR": "off", **WAIT}, "No model is named. "),
        ({"MODEL_PRICES": "cheap", **WAIT}, "MODEL_PRICES"),
        ({"HEALTH_PORT": "99999", **WAIT}, "HEALTH_PORT is not usable: "),
        ({"HEALTH_HOST": "256.1.1.1", **WAIT}, "The workers' health cannot be shown at 256.1.1.1:"),
    ],
)
async def test_workers_that_cannot_start_as_configured_say_why_once(
    command: Commands, variables: dict[str, str], said: str
) -> None:
    given = {"HEALTH_PORT": str(free_port()), **variables}

    ended = await command.program(
        sys.executable, "-m", "workers", "--processes", "2", stdin=None, **given
    )

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(said)


async def test_a_port_that_is_taken_is_named_with_its_variable(command: Commands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        ended = await command.program(sys.executable, "-m", "workers", HEALTH_PORT=port)

    assert ended.code == 2
    assert ended.sentence == (
        f"Port {port} is taken by another program. Set HEALTH_PORT to a free one."
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
