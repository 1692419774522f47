"""What the benchmarks share: parts of their own, worker processes, CPU seconds, histories."""

import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from durable_agents.db import migrate
from durable_agents.models import queues
from durable_agents.models.react import ReActInput
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.postgres_home import remove_home
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.settings import Settings

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Bench:
    """The parts of a benchmark."""

    settings: Settings
    client: Client
    services: EmbeddedServices


@asynccontextmanager
async def bench() -> AsyncGenerator[Bench]:
    """Run a server, a database and a simulator of our own, on free ports."""
    with tempfile.TemporaryDirectory(prefix="da-bench-") as folder:
        settings = Settings.load(
            {
                "STATE_DIR": folder,
                "TEMPORAL_PORT": "0",
                "TEMPORAL_UI_PORT": "0",
                "SIMULATOR_PORT": "0",
            },
            dotenv=None,
            use_run_file=False,
        )
        try:
            async with EmbeddedServices(settings) as services:
                await migrate.upgrade(services.settings.database_url.get_secret_value())
                client = await connect(services.settings)
                yield Bench(services.settings, client, services)
        finally:
            remove_home(Path(folder))


@dataclass(frozen=True)
class WorkerProcess:
    """A worker process under measurement."""

    pid: int

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_of(self.pid)

    def resident_mib(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@asynccontextmanager
async def worker_process(
    argv: Sequence[str], env: Mapping[str, str], *, ready: bool
) -> AsyncGenerator[WorkerProcess]:
    """Run a worker process; `ready` waits for the line that says so."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if ready and process.stdout is not None:
            await process.stdout.readline()
        yield WorkerProcess(process.pid)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def our_worker(
    bench: Bench, env: Mapping[str, str] | None = None
) -> AsyncGenerator[WorkerProcess]:
    """Run one of our worker processes, all roles, as in production: without the sandbox."""
    settings = {
        "STATE_DIR": str(bench.settings.state_dir),
        "WORKER_SANDBOX": "off",
        **(env or {}),
    }
    async with worker_process(["-m", "workers.process"], settings, ready=True) as worker:
        yield worker


async def run_react(client: Client, rounds: int) -> str:
    """Run an agent for some rounds of one tool call each, then its answer; gives the run's id."""
    workflow_id = f"bench-{secrets.token_hex(6)}"
    await client.execute_workflow(
        "ReActWorkflow",
        ReActInput(task=f"simulate {rounds} rounds", max_rounds=rounds + 1),
        id=workflow_id,
        task_queue=queues.WORKFLOWS,
    )
    return workflow_id


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, with its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / TICKS


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process and all its descendants that run."""
    total = cpu_of(pid)
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            total += cpu_of_tree(int(child))
    return total


def pid_named(bench: Bench, part: str) -> int:
    """The process id of a part that the bench started."""
    return bench.services.pid_of(part)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and spread of some values."""
    return (
        f"{statistics.median(values):.{digits}f} "
        f"({min(values):.{digits}f} to {max(values):.{digits}f}, n={len(values)})"
    )


class Clock:
    """Wall time since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def seconds(self) -> float:
        """Seconds since then."""
        return time.perf_counter() - self._began
