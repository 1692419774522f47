"""`python -m workers` as systemd runs it: its unit's command, its socket, its signals."""

import asyncio
import secrets
import signal
import socket
import struct
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, folder_for_commands, make_namespace
from tests.deploy.units import FOLDER, read, read_environment
from tests.steering import Simulator
from tests.workflows import runs

UNIT = read(FOLDER / "durable-agents-worker@.service")
CREDENTIALS = struct.Struct("3i")  # process, user, group: unix(7)
GRACE_S = 1
WATCHDOG_S = 0.4


class Systemd:
    """What systemd does with a service of `Type=notify` and `NotifyAccess=main`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[str] = []
        self._heard = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.process: Process | None = None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._take)

    async def start(self, command: Commands, *, processes: int, **env: str) -> None:
        """`systemctl start`: returns once the service says that it is ready."""
        await self.launch(command, processes=processes, **env)
        await self.until("READY=1", UNIT.seconds("TimeoutStartSec"))

    async def launch(self, command: Commands, *, processes: int, **env: str) -> Process:
        """Run what the unit says."""
        self.told.clear()
        roles = read_environment(FOLDER / "worker-llm.env")
        environ = {
            **UNIT.environment,
            **roles,
            "PROCESSES": str(processes),
            "HEALTH_PORT": "0",
            **env,
        }
        words = UNIT.command(environ, "workflows")[1:]
        everything = [word for role in ("llm", "tools", "pool") for word in ("--role", role)]
        environ["NOTIFY_SOCKET"] = self.address
        environ["WATCHDOG_USEC"] = str(int(WATCHDOG_S * 1e6))
        self.process = await command.start([sys.executable, *words, *everything], env=environ)
        return self.process

    async def stop(self) -> int:
        """`systemctl stop`: gives the exit code."""
        assert self.process is not None
        self.process.send_signal(getattr(signal, UNIT.one("KillSignal")))
        await self.until("STOPPING=1", UNIT.seconds("TimeoutStopSec"))
        async with asyncio.timeout(UNIT.seconds("TimeoutStopSec")):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def until(self, line: str, within_s: float) -> None:
        """Wait for a line."""
        async with asyncio.timeout(within_s):
            while line not in self.lines():
                self._heard.clear()
                await self._heard.wait()

    def lines(self) -> list[str]:
        """Every line that was told."""
        return [line for message in self.told for line in message.splitlines()]

    def _take(self) -> None:
        """Take what the main process says, and nobody else."""
        message, ancillary, *_ = self._socket.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
        (sender, *_) = CREDENTIALS.unpack(ancillary[0][2])
        if self.process and sender == self.process.pid:
            self.told.append(message.decode())
            self._heard.set()

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


@asynccontextmanager
async def systemd(address: str) -> AsyncGenerator[Systemd]:
    running = Systemd(address)
    try:
        yield running
    finally:
        running.close()
        if running.process and running.process.returncode is None:
            running.process.kill()
            await running.process.communicate()


@pytest.fixture(scope="module")
async def command(client: Client, settings: Settings) -> AsyncIterator[Commands]:
    await make_namespace(client, "systemd")
    with folder_for_commands() as folder:
        yield Commands(
            settings,
            Path(folder),
            TEMPORAL_NAMESPACE="systemd",
            WORKER_SHUTDOWN_GRACE_S=str(GRACE_S),
        )


async def test_it_is_ready_when_it_polls_drains_when_told_and_loses_no_run(
    settings: Settings,
    command: Commands,
    simulator: Simulator,
    database: Database,
    tmp_path: Path,
) -> None:
    word = runs.token()
    there = await connect(settings.model_copy(update={"temporal_namespace": "systemd"}))
    task = f"Please file a ticket: my monitor {word} is broken."

    async with systemd(str(tmp_path / "notify")) as manager:
        await manager.start(command, processes=2)
        at_first = list(manager.told)
        async with simulator.faults(word, {"kind": "hang", "times": 2}):
            handles = [
                await runs.start_react(there, task, agent="support"),
                await runs.start_react(there, f"What is 6 * 7? {word}"),
            ]
            await runs.until(lambda: _asked(simulator, word), "both runs ask the model")
            code = await manager.stop()
        at_last = list(manager.told)
        await manager.start(command, processes=1)
        results = [await runs.result_of(handle) for handle in handles]
        again = await manager.stop()

    ready = "STATUS=2 of 2 worker processes poll (workflows, llm, tools, pool)."
    asked_for_s = GRACE_S + 5 + 5
    assert f"READY=1\n{ready}" in at_first
    assert at_first.index(f"READY=1\n{ready}") > 0, "it says how it is before it is ready"
    stopping = [message.splitlines()[:2] for message in at_last if "STOPPING=1" in message]
    assert stopping == [["STOPPING=1", f"EXTEND_TIMEOUT_USEC={asked_for_s * 1_000_000}"]]
    assert (code, again) == (0, 0)
    assert "has been filed" in results[0].answer
    assert "42" in results[1].answer
    assert await _tickets_about(database, word) == 1


async def test_it_gives_signs_of_life_on_an_abstract_socket_and_says_what_keeps_it_down(
    command: Commands,
) -> None:
    async with systemd(f"@da-{secrets.token_hex(8)}") as manager:
        process = await manager.launch(command, processes=1, SIMULATOR="off")
        async with asyncio.timeout(UNIT.seconds("TimeoutStartSec")):
            _, complained = await process.communicate()
        await manager.until("STOPPING=1", 1)

    assert str(process.returncode) == UNIT.one("RestartPreventExitStatus")
    assert b"No model is named. " in complained
    assert any(line.startswith("STATUS=No model is named. ") for line in manager.lines())
    assert "READY=1" not in manager.lines()
    assert "WATCHDOG=1" in manager.lines()


async def _asked(simulator: Simulator, word: str) -> bool:
    return len(await simulator.calls(word)) >= 2


async def _tickets_about(database: Database, word: str) -> int:
    query = text("SELECT count(*) FROM tickets WHERE description LIKE :word")
    async with database.statement() as connection:
        return int(await connection.scalar(query, {"word": f"%{word}%"}) or 0)
