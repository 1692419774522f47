"""PostgreSQL with pgvector on a machine that has none, as a direct child of this process.

It listens on a unix socket only, in a folder that nobody but its account (and root) can enter,
and asks the kernel who is calling (`peer`): the user who started it and root may come in, so
there is no password to keep. It runs with the settings under which a crash of the machine loses
nothing; they are given on the command line, so that they hold for older data as well.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import Child, ChildSpec
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.parts import Stage
from durable_agents.runtime.embedded.postgres_home import PostgresHome, make_private
from durable_agents.runtime.embedded.process_identity import process_identity, working_directory
from durable_agents.runtime.embedded.whole_threads import in_thread

DATABASE = "durable_agents"
_OWNER = "durable_agents"
_PORT = 5432  # names the socket's file, nothing listens on TCP
_INITDB_S = 120.0
_READY_S = 60.0  # after a crash it first replays its log
_GRACE_S = 20.0
_RESCUE = ((signal.SIGINT, 1.5), (signal.SIGQUIT, 0.5))
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}


async def start_postgres(home: PostgresHome, install: Path, children: Children) -> str:
    """Start PostgreSQL and give its URL for SQLAlchemy.

    Args:
        home: Its folders, from `prepare_home`.
        install: Its programs, from `find_install` or `reachable_install`.
        children: Starts the process.

    Raises:
        ConfigurationError: It cannot be started; with what its log says.
    """
    await _make_data(home, install, children)
    await in_thread(_clear_stale_pid, home.data)
    access = _write_access_rules(home)
    settings = {**_SETTINGS, **access, "unix_socket_directories": f'"{home.socket}"'}
    child = await children.start(
        ChildSpec(
            name="postgres",
            argv=[
                str(install / "bin" / "postgres"),
                "-D",
                str(home.data),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            stage=Stage.POSTGRES,
            env=_environment(),
            cwd=home.folder,
            account=home.account,
            gentle=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint
            grace_s=_GRACE_S,
            rescue=_RESCUE,
        )
    )
    await child.wait_until(lambda: _is_ready(home.data, child), seconds=_READY_S)
    await _make_database(home, child.log)
    return f"postgresql+psycopg://{_OWNER}@/{DATABASE}?host={home.socket}&port={_PORT}"


async def _make_data(home: PostgresHome, install: Path, children: Children) -> None:
    """Make a new data folder beside its place, flushed to disk, and move it there in one step."""
    if home.data.exists():
        return
    fresh = home.folder / "data.new"
    await in_thread(shutil.rmtree, fresh, ignore_errors=True)
    make_private(fresh, home.account)
    await children.run(
        ChildSpec(
            name="initdb",
            argv=[
                str(install / "bin" / "initdb"),
                f"--pgdata={fresh}",
                f"--username={_OWNER}",
                "--auth=peer",
                "--encoding=UTF8",
                # The same order and case rules on every system.
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ],
            stage=Stage.POSTGRES,
            env=_environment(),
            cwd=home.folder,
            account=home.account,
        ),
        seconds=_INITDB_S,
    )
    fresh.rename(home.data)
    _flush(home.folder)


def _clear_stale_pid(data: Path) -> None:
    """Remove a postmaster.pid whose number now belongs to somebody else.

    After a crash of the machine PostgreSQL would take any process with that number, under the
    same account, for itself. One that stands in the data folder is a server and is left alone.
    """
    pid = _postmaster_pid(data)
    if pid is None or not process_identity(pid):
        return
    place = working_directory(pid)
    if place is None:
        return  # cannot be told; PostgreSQL decides
    if place == data.resolve():
        raise ConfigurationError(
            f"PostgreSQL runs already on the data in {data} (pid {pid}): stop it first."
        )
    (data / "postmaster.pid").unlink(missing_ok=True)


def _postmaster_pid(data: Path) -> int | None:
    lines = _postmaster_lines(data)
    with suppress(IndexError, ValueError):
        return abs(int(lines[0]))
    return None


def _postmaster_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


async def _is_ready(data: Path, child: Child) -> bool:
    """Read what `pg_ctl -w` reads: the last line says so, the first whose word it is."""
    lines = _postmaster_lines(data)
    return len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready"


async def _make_database(home: PostgresHome, log: Path) -> None:
    try:
        await _create_if_missing(home)
    except psycopg.Error as error:
        raise ConfigurationError(
            f"PostgreSQL started but does not let us in: {error} (log: {log})."
        ) from error


async def _create_if_missing(home: PostgresHome) -> None:
    connection = await psycopg.AsyncConnection.connect(
        host=str(home.socket), port=_PORT, user=_OWNER, dbname="postgres", autocommit=True
    )
    async with connection:
        found = await connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
        )
        if await found.fetchone() is None:
            await connection.execute(f"CREATE DATABASE {DATABASE}")


def _write_access_rules(home: PostgresHome) -> Mapping[str, str]:
    """Let root and the user who starts the server in, as its owner, over the socket alone."""
    rules = home.folder / "pg_hba.conf"
    names = home.folder / "pg_ident.conf"
    us = pwd.getpwuid(os.geteuid()).pw_name
    rules.write_text("local all all peer map=owner\n", encoding="utf-8")
    names.write_text(
        "".join(f'owner "{user}" {_OWNER}\n' for user in sorted({us, "root"})), encoding="utf-8"
    )
    for file in (rules, names):
        file.chmod(0o644)  # the server's account reads them, and only we may write them
    return {"hba_file": str(rules), "ident_file": str(names)}


def _environment() -> dict[str, str]:
    """Give our environment without the PG* variables, which the server would follow."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
