"""A run waits for a person while everything around it is killed, and goes on when it is decided."""

import os
import signal
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import text

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.db.seed import seed
from durable_agents.models.approval import ApprovalState, Decision
from durable_agents.models.react import ReActResult
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.postgres_home import remove_home
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.settings import Settings
from tests.conftest import EXAMPLES
from tests.steering import Simulator
from tests.workflows import runs
from tests.world import World, supervisor


@asynccontextmanager
async def world_in(folder: Path) -> AsyncGenerator[World]:
    """All servers on the state in a folder; nothing needs to be there."""
    ports = {"temporal_port": 0, "temporal_ui_port": 0, "simulator_port": 0}
    given = {"state_dir": folder, "worker_shutdown_grace_s": 1, **ports}
    async with EmbeddedServices(Settings.model_validate(given)) as services:
        url = services.settings.database_url.get_secret_value()
        await migrate.upgrade(url)
        database, simulator = Database(url), Simulator(services.settings.simulator_url)
        try:
            yield World(services, await connect(services.settings), database, simulator)
        finally:
            await simulator.close()
            await database.close()


async def test_a_request_outlives_the_death_of_worker_and_server_and_is_decided_afterwards() -> (
    None
):
    word = runs.token()
    with tempfile.TemporaryDirectory(prefix="da-test-") as name:
        folder = Path(name)
        try:
            async with world_in(folder) as world:
                await seed(world.database, EXAMPLES)
                async with supervisor(world) as running:
                    handle = await world.start(f"file a ticket: printer {word} is on fire")
                    await runs.until_step(handle, "wait for approval file_ticket-1.1")
                    state = await handle.query("approval", result_type=ApprovalState)
                    worker = await running.worker()
                    for pid in (running.child.pid, worker, world.services.pid_of("temporal")):
                        with suppress(ProcessLookupError):  # its supervisor took it along
                            os.kill(pid, signal.SIGKILL)
            assert state.pending is not None
            decision = Decision(verdict="approve", digest=state.pending.digest, by="Ann")
            async with world_in(folder) as world:
                again = world.client.get_workflow_handle(handle.id, result_type=ReActResult)
                await again.signal("decide", decision)  # nobody works yet
                async with supervisor(world):
                    result = await runs.result_of(again)
                query = text("SELECT count(*) FROM tickets WHERE description LIKE :word")
                async with world.database.statement() as connection:
                    filed = await connection.scalar(query, {"word": f"%{word}%"})
        finally:
            remove_home(folder)

    assert [call.outcome for call in result.tool_calls] == ["done"]
    assert filed == 1
    assert (result.rounds, result.usage.calls) == (2, 2)  # nothing was thought twice
