"""The servers of the drills: each can be killed and started again on what it left."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.ports import free_port
from durable_agents.runtime.embedded.postgres import start_postgres
from durable_agents.runtime.embedded.postgres_home import PostgresHome, prepare_home, remove_home
from durable_agents.runtime.embedded.postgres_install import find_install, reachable_install
from durable_agents.runtime.embedded.process_identity import is_alive, process_identity
from durable_agents.runtime.embedded.run_lock import RunLock
from durable_agents.runtime.embedded.simulator_server import start_simulator
from durable_agents.runtime.embedded.temporal_server import start_temporal
from durable_agents.runtime.embedded.watch import Watch
from durable_agents.runtime.settings import Settings
from tests.drills.cuts import Cut

Name = Literal["temporal", "postgres"]
DISK_MB = 768
SMALLEST_FILES = 65_536  # bytes: no segment of PostgreSQL's log can be written to its end
RESTART_S = 30
# So that its log does not fill the small disk by itself.
SMALL_LOG = ("max_wal_size = '64MB'", "min_wal_size = '32MB'")


@dataclass
class Servers:
    """Temporal on its file, PostgreSQL and the simulator; workers reach the first two by proxies.

    `disk` is a small file system that PostgreSQL's data alone lies on, where one can be mounted.
    """

    folder: Path
    settings: Settings
    children: Children
    home: PostgresHome
    install: Path
    disk: Path | None
    to_temporal: Cut
    to_postgres: Cut

    async def kill(self, name: Name) -> None:
        """End a server without warning, and with it all processes that it has started."""
        pid = self.children.pid_of(name)
        identity = process_identity(pid)
        family = [*_offspring(pid), pid]
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        while is_alive(pid, identity) or name in self._running():  # noqa: ASYNC110 - of others
            await asyncio.sleep(0.02)

    async def start(self, name: Name) -> None:
        """Start a server again on what it left; harmless while it runs."""
        if name in self._running():
            return
        if name == "temporal":
            await start_temporal(self.settings, self.children)
            return
        async with asyncio.timeout(RESTART_S):
            while True:
                try:
                    await start_postgres(self.home, self.install, self.children)
                    return
                except ConfigurationError:  # its processes are not all gone yet
                    await asyncio.sleep(0.2)

    async def fill_disk(self) -> str:
        """Leave PostgreSQL no room; tells how. It must be able to write nothing from then on."""
        if self.disk is not None:
            await asyncio.to_thread(_fill, self.disk / "ballast")
            how = "a file system that is full"
        else:
            self._limit_files(str(SMALLEST_FILES))
            how = "a limit of the size of files"
        return f"{how}: {await self._refusal()}"

    async def free_disk(self) -> None:
        """Give the room back; PostgreSQL is started again if it gave up."""
        if self.disk is not None:
            (self.disk / "ballast").unlink(missing_ok=True)
        else:
            self._limit_files("unlimited")
        await asyncio.sleep(0.2)
        if "postgres" not in self._running():
            await self.start("postgres")

    async def _refusal(self) -> str:
        """What PostgreSQL says when it is made to write more than it has room for."""
        url = _plain(self.settings.database_url.get_secret_value())
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as there:
                await there.execute("CREATE TABLE IF NOT EXISTS drill_ballast (line text)")
                await there.execute(
                    "INSERT INTO drill_ballast SELECT repeat(md5(n::text), 50) "
                    "FROM generate_series(1, 100000) AS n"
                )
        except psycopg.Error as error:
            return str(error).strip().splitlines()[0]
        raise AssertionError("PostgreSQL still has room")

    def _limit_files(self, size: str) -> None:
        """Bound the size of the files that PostgreSQL may write, as its own account."""
        who = self.home.account
        for pid in self._postgres_pids():
            command = ["prlimit", f"--pid={pid}", f"--fsize={size}:"]
            subprocess.run(
                command,
                check=False,
                capture_output=True,
                user=who.uid if who else None,
                group=who.gid if who else None,
                extra_groups=() if who else None,
            )

    def _running(self) -> set[str]:
        return {name for name in ("temporal", "postgres") if _has(self.children, name)}

    def _postgres_pids(self) -> list[int]:
        if "postgres" not in self._running():
            return []
        pid = self.children.pid_of("postgres")
        return [pid, *_offspring(pid)]


@asynccontextmanager
async def running_servers(*, may_mount: bool = True) -> AsyncGenerator[Servers]:
    """Run them in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="da-drill-") as name:
        folder = Path(name)
        os.chmod(name, 0o711)  # noqa: PTH101, S103 - PostgreSQL's account passes through
        async with AsyncExitStack() as stack:
            stack.callback(remove_home, folder)
            disk = _mounted(folder / "disk") if may_mount else None
            if disk is not None:
                stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
            yield await _started(stack, folder, disk)


async def _started(stack: AsyncExitStack, folder: Path, disk: Path | None) -> Servers:
    settings = Settings(
        state_dir=folder,
        temporal_port=free_port(),
        temporal_ui_port=free_port(),
        simulator_port=0,
        model_prices="simulator-extractive-1=1/10",
    )
    (folder / "log").mkdir()
    lock = await RunLock.acquire(folder)
    stack.callback(lock.release)
    watch = await Watch.start(lock=lock.descriptor, log=folder / "log" / "watcher.log")
    stack.push_async_callback(watch.close)
    children = Children(watch, lock, folder / "log")
    stack.push_async_callback(children.stop)
    home = prepare_home(folder, **({"root_base": disk} if disk else {}))
    found = find_install(home.data)
    install = reachable_install(found, home.account, home.copies) if home.account else found
    (address, _), url, simulator = await asyncio.gather(
        start_temporal(settings, children),
        start_postgres(home, install, children),
        start_simulator(settings, children),
    )
    await _keep_log_small(url)
    socket = home.socket / ".s.PGSQL.5432"
    return Servers(
        folder=folder,
        settings=settings.model_copy(
            update={
                "temporal_address": address,
                "database_url": type(settings.database_url)(url),
                "simulator_url": simulator,
            }
        ),
        children=children,
        home=home,
        install=install,
        disk=disk,
        to_temporal=await stack.enter_async_context(Cut(settings.temporal_port).running()),
        to_postgres=await stack.enter_async_context(Cut(socket).running()),
    )


async def _keep_log_small(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(_plain(url), autocommit=True) as there:
        for setting in SMALL_LOG:
            await there.execute(f"ALTER SYSTEM SET {setting}".encode())
        await there.execute("SELECT pg_reload_conf()")


def _plain(url: str) -> str:
    """An address as PostgreSQL's own library reads it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _mounted(place: Path) -> Path | None:
    """A small file system, where this process may mount one."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux") or not shutil.which("mount"):
        return None
    place.mkdir()
    options = f"size={DISK_MB}m,mode=711"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    return place if done.returncode == 0 else None


def _fill(file: Path) -> None:
    """Take all the room there is."""
    block = bytes(1_048_576)
    with file.open("wb", buffering=0) as taken:
        for size in (len(block), 4096, 1):
            with suppress(OSError):
                while taken.write(block[:size]) == size:
                    pass


def _has(children: Children, name: str) -> bool:
    try:
        children.pid_of(name)
    except StopIteration:
        return False
    return True


def _offspring(pid: int) -> list[int]:
    """The processes that a process has started."""
    told = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in told.stdout.split()]
