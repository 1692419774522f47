"""Servers of a test's own, and workers on them as processes that can be killed."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.child import Child
from durable_agents.runtime.embedded.ports import free_port
from durable_agents.runtime.embedded.services import EmbeddedServices
from tests.conftest import running_services
from tests.steering import Simulator
from tests.workflows import runs

READY_S = 30
# Started in the state folder: a file .env of the person who runs the tests must not matter.
SUPERVISOR = (
    "import os, runpy; os.chdir(os.environ['STATE_DIR']); "
    "runpy.run_module('workers', run_name='__main__', alter_sys=True)"
)

Handle = WorkflowHandle[Any, ReActResult]


@dataclass(frozen=True)
class World:
    """The servers of these tests."""

    services: EmbeddedServices
    client: Client
    database: Database
    simulator: Simulator

    async def start(
        self, task: str, agent: str = "assistant", max_rounds: int = 5, user_id: str = ""
    ) -> Handle:
        request = ReActInput(task=task, agent=agent, max_rounds=max_rounds, user_id=user_id)
        return await self.client.start_workflow(
            "ReActWorkflow",
            request,
            id=runs.token(),
            task_queue=queues.WORKFLOWS,
            result_type=ReActResult,
        )


@dataclass(frozen=True)
class Supervisor:
    """A supervisor of one worker process."""

    child: Child
    health: str

    async def worker(self, *, besides: int = 0) -> int:
        """The process id of its worker, once that is ready and is another one than `besides`."""
        async with httpx2.AsyncClient(trust_env=False, timeout=2) as http:
            until = time.monotonic() + READY_S
            while time.monotonic() < until:
                try:
                    answer = await http.get(self.health)
                except httpx2.TransportError:
                    answer = None
                if answer is not None and answer.status_code == 200:
                    pid = int(answer.json()["processes"][0]["pid"])
                    if pid != besides:
                        return pid
                await asyncio.sleep(0.02)
        raise AssertionError(f"no worker is ready after {READY_S} s: {self.child.log_lines()}")

    async def kill_worker(self) -> None:
        """End its worker without warning, and wait for the next one."""
        pid = await self.worker()
        os.kill(pid, signal.SIGKILL)
        await self.worker(besides=pid)


@asynccontextmanager
async def supervisor(world: World, *roles: str) -> AsyncGenerator[Supervisor]:
    """`python -m workers` as it runs in production."""
    port = free_port()
    chosen = [part for role in roles for part in ("--role", role)]
    child = await world.services.add_child(
        [sys.executable, "-c", SUPERVISOR, *chosen],
        f"worker-{port}",
        env={"HEALTH_PORT": str(port), "PYTHONUNBUFFERED": "1"},
    )
    try:
        running = Supervisor(child, f"http://127.0.0.1:{port}/healthz")
        await running.worker()
        yield running
    finally:
        await child.stop()


@asynccontextmanager
async def own_world() -> AsyncGenerator[World]:
    """Run the servers."""
    async with running_services() as services:
        database = Database(services.settings.database_url.get_secret_value())
        simulator = Simulator(services.settings.simulator_url)
        try:
            yield World(services, await connect(services.settings), database, simulator)
        finally:
            await simulator.close()
            await database.close()
