"""What a drill plays on: servers, one worker process, a receiver of notifications."""

import asyncio
import os
import re
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from temporalio.client import Client

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.db.seed import seed
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.ports import LOOPBACK
from tests.conftest import EXAMPLES
from tests.drills.counting_worker import TABLE
from tests.drills.servers import Servers, running_servers
from tests.drills.watched_worker import PID, WORD
from tests.steering import Simulator
from workers.roles import READY

PROJECT = Path(__file__).parent.parent.parent
READY_S = 60
RECEIVED_AFTER_S = 0.15  # so that a worker can die while it waits for the answer


@dataclass
class Worker:
    """The worker process, under its keeper."""

    keeper: Process
    pid: int = 0
    turns: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Follow what the keeper and the worker say."""
        assert self.keeper.stdout is not None
        async for line in self.keeper.stdout:
            said = line.decode().strip()
            if said.startswith(PID):
                self.pid = int(said.removeprefix(PID))
                self.turns += 1
                self.ready.clear()
            elif said == READY:
                self.ready.set()

    async def until_ready(self) -> None:
        """Wait until the worker polls."""
        async with asyncio.timeout(READY_S):
            await self.ready.wait()

    def kill(self) -> None:
        """End the worker without warning; the keeper starts the next one."""
        self.ready.clear()
        os.kill(self.pid, signal.SIGKILL)


@dataclass
class Receiver:
    """Takes notifications over HTTP, without any key, and counts those that name a word."""

    received: Counter[str] = field(default_factory=Counter[str])
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Receiver"]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.url = f"json://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/drill"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", head)
            body = (await reader.readexactly(int(length[1]) if length else 0)).decode()
            for word in set(WORD.findall(body)):
                self.received[word] += 1
            await asyncio.sleep(RECEIVED_AFTER_S)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
        writer.close()


@dataclass
class Stage:
    """All of it."""

    servers: Servers
    worker: Worker
    receiver: Receiver
    client: Client
    database: Database
    simulator: Simulator

    @property
    def folder(self) -> Path:
        """Where holds are asked for, and steps are noted."""
        return self.servers.folder / "watched"


@asynccontextmanager
async def set_up(*, may_mount: bool = True) -> AsyncGenerator[Stage]:
    """Run everything; the worker reaches Temporal and PostgreSQL through what can be cut."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(running_servers(may_mount=may_mount))
        receiver = await stack.enter_async_context(Receiver().running())
        url = servers.settings.database_url.get_secret_value()
        await migrate.upgrade(url)
        database = Database(url)
        stack.push_async_callback(database.close)
        await seed(database, EXAMPLES)
        columns = "job_id bigint, fence integer, pid integer, mark text"
        async with database.statement() as connection:
            await connection.execute(text(f"CREATE TABLE {TABLE} ({columns})"))
        simulator = Simulator(servers.settings.simulator_url)
        stack.push_async_callback(simulator.close)
        client = await connect(servers.settings)
        worker = await stack.enter_async_context(_worker(servers, receiver.url))
        yield Stage(servers, worker, receiver, client, database, simulator)


@asynccontextmanager
async def _worker(servers: Servers, notify: str) -> AsyncGenerator[Worker]:
    watched = servers.folder / "watched"
    for folder in (watched, watched / "holds", watched / "held"):
        folder.mkdir()
    (watched / "steps").touch()
    log = (servers.folder / "log" / "worker.log").open("ab")
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.drills.watched_worker"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=log,
        cwd=servers.folder,
        env=worker_environment(servers, notify),
        start_new_session=True,
    )
    log.close()
    worker = Worker(keeper)
    listening = asyncio.ensure_future(worker.listen())
    try:
        await worker.until_ready()
        yield worker
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        with suppress(ProcessLookupError):
            worker.kill()
        try:
            async with asyncio.timeout(5):
                await keeper.wait()
        except TimeoutError:
            keeper.kill()
        await listening


def worker_environment(servers: Servers, notify: str) -> dict[str, str]:
    """The whole environment of a worker, which has nothing of the person's who runs this."""
    port = servers.to_postgres.port
    settings = servers.settings
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(servers.folder),
        "PYTHONPATH": str(PROJECT),
        "STATE_DIR": str(servers.folder / "none"),
        "DRILL_FOLDER": str(servers.folder / "watched"),
        "TEMPORAL_ADDRESS": f"{LOOPBACK}:{servers.to_temporal.port}",
        "TEMPORAL_CONFIG_FILE": str(servers.folder / "no-profiles.toml"),
        "DATABASE_URL": (
            f"postgresql://durable_agents@{LOOPBACK}:{port}/durable_agents"
            "?sslmode=disable&gssencmode=disable"
        ),
        "SIMULATOR_URL": settings.simulator_url,
        "MODEL_PRICES": settings.model_prices,
        "NOTIFY_URLS": notify,
        "SIGNING_KEY": "0" * 64,
        "WORKER_SANDBOX": "off",
    }
