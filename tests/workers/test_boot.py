"""After a reboot: services whose parts come up later, or not as they should be."""

import asyncio
import secrets
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from psycopg import sql
from sqlalchemy.engine import make_url
from temporalio.client import Client

from durable_agents.db import migrate
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.startup import EXIT_TRY_LATER
from tests.commanding import COMMAND, Commands, ended, folder_for_commands, make_namespace
from tests.db.databases import created_database, execute
from tests.deploy.units import FOLDER, read
from tests.drills.cuts import Cut
from tests.runtime.test_connection_tls import AUTHORITY, expired, front
from tests.workers.test_under_systemd import Systemd, systemd

LONGEST_S = 60
FULL_DISK = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON payload_keys
FOR EACH ROW EXECUTE FUNCTION no_room();
"""


@pytest.fixture(scope="module")
async def command(client: Client, settings: Settings) -> AsyncIterator[Commands]:
    await make_namespace(client, "boot")
    with folder_for_commands() as folder:
        given = {"TEMPORAL_NAMESPACE": "boot", "OPENAI_API_KEY": "none", "STARTUP_WAIT_S": "600"}
        yield Commands(settings, Path(folder), **given)


@pytest.fixture
async def to_database(database_url: str) -> AsyncIterator[Cut]:
    """The way to the database, which is cut."""
    socket = Path(str(make_url(database_url).query["host"])) / ".s.PGSQL.5432"
    async with Cut(socket).running() as cut:
        await cut.begin("refused")
        yield cut


def through(cut: Cut, url: str) -> str:
    """The address of a database by way of a proxy."""
    by_tcp = make_url(url).set(host="127.0.0.1", port=cut.port, query={})
    return by_tcp.render_as_string(hide_password=False)


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not found():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def until_told(manager: Systemd, reason: str) -> None:
    await until(lambda: any(f"Waiting: {reason}" in line for line in manager.lines()))


async def test_workers_wait_for_one_part_after_the_other_and_say_for_which(
    command: Commands, settings: Settings, database_url: str, to_database: Cut
) -> None:
    port = int(settings.temporal_address.rpartition(":")[2])
    async with AsyncExitStack() as stack:
        url = stack.enter_context(created_database(database_url))
        to_temporal = await stack.enter_async_context(Cut(port).running())
        await to_temporal.begin("refused")
        manager = await stack.enter_async_context(systemd(f"@da-{secrets.token_hex(8)}"))
        process = await manager.launch(
            command,
            processes=2,
            DATABASE_URL=through(to_database, url),
            TEMPORAL_ADDRESS=f"127.0.0.1:{to_temporal.port}",
            PAYLOAD_KEYS=made_key("first"),
            WORKER_SHUTDOWN_GRACE_S="1",
        )
        await until_told(manager, "The database does not answer: ")
        await to_database.end()
        await until_told(manager, "The database is empty, this release needs revision ")
        await migrate.upgrade(url)
        await until_told(manager, "The Temporal server at ")
        execute(url, sql.SQL(FULL_DISK))
        await to_temporal.end()
        await until_told(manager, "The database does not answer: could not extend file: No space")
        execute(url, sql.SQL("DROP TRIGGER full_disk ON payload_keys"))
        await manager.until("READY=1", LONGEST_S)
        told = list(manager.told)
        said = await _stopped(process)

    asked = [one for one in told if "EXTEND_TIMEOUT_USEC=120000000" in one]
    assert all("Waiting: " in one for one in asked)
    waits = [line for line in said if line.startswith("Waiting: ")]
    assert len(waits) >= 4
    assert len(set(waits)) == len(waits), "each part is waited for in one line"
    assert "is ready" in said[-1]
    assert process.returncode == 0


async def _stopped(process: Process) -> list[str]:
    process.send_signal(signal.SIGTERM)
    return (await ended(process)).err.splitlines()


async def test_workers_that_are_told_to_stop_while_they_wait_stop(
    command: Commands, database_url: str, to_database: Cut
) -> None:
    url = through(to_database, database_url)
    async with systemd(f"@da-{secrets.token_hex(8)}") as manager:
        process = await manager.launch(command, processes=1, DATABASE_URL=url)
        await until_told(manager, "The database does not answer: ")

        said = await _stopped(process)

    assert process.returncode == 0
    assert len(said) == 1 + _says_where_health_is(said)


def _says_where_health_is(said: list[str]) -> int:
    return sum(line.startswith("Health and metrics are at ") for line in said)


async def test_workers_that_wait_in_vain_end_so_that_they_are_started_again(
    command: Commands, database_url: str, to_database: Cut
) -> None:
    variables = {"DATABASE_URL": through(to_database, database_url), "STARTUP_WAIT_S": "0.1"}

    left = await command.program(sys.executable, "-m", "workers", stdin=None, **variables)

    unit = read(FOLDER / "durable-agents-worker@.service")
    assert left.code == EXIT_TRY_LATER
    assert str(left.code) != unit.one("RestartPreventExitStatus")
    assert left.last.startswith("The database does not answer: ")


async def test_workers_do_not_wait_for_tables_to_become_older(
    command: Commands, database_url: str
) -> None:
    with created_database(database_url) as url:
        await migrate.upgrade(url)
        execute(url, sql.SQL("UPDATE alembic_version SET version_num = '9999'"))

        left = await command.program(sys.executable, "-m", "workers", stdin=None, DATABASE_URL=url)

    assert left.code == 2
    assert "at revision 9999, which this release does not know" in left.sentence


async def test_workers_do_not_wait_for_a_certificate_to_become_valid(
    command: Commands, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")

    async with front(settings, expired(AUTHORITY, "127.0.0.1")) as behind:
        left = await command.program(
            *(sys.executable, "-m", "workers"),
            stdin=None,
            DATABASE_URL=database_url,
            TEMPORAL_ADDRESS=behind.temporal_address,
            TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(tmp_path / "authority.pem"),
        )

    assert left.code == 2
    assert "its certificate does not hold (certificate has expired). Have it" in left.sentence


async def test_the_tables_are_upgraded_once_the_database_is_there(
    command: Commands, database_url: str, to_database: Cut
) -> None:
    with created_database(database_url) as url:
        environ = {"DATABASE_URL": through(to_database, url)}
        upgrading = await command.start([COMMAND, "db", "upgrade"], env=environ)
        assert upgrading.stderr is not None
        waiting = (await upgrading.stderr.readline()).decode()
        await to_database.end()
        left = await ended(upgrading)

    assert waiting.startswith("Waiting: The database does not answer: ")
    assert (left.code, left.err) == (0, "")
    assert left.out == f"Upgraded to {migrate.head_revision()}.\n"


async def test_the_page_waits_for_its_parts_and_stops_when_told(
    command: Commands, database_url: str, to_database: Cut
) -> None:
    environ = {"DATABASE_URL": through(to_database, database_url), "INBOX_PORT": "0"}
    page = await command.start([COMMAND, "inbox"], env=environ)
    assert page.stderr is not None
    waiting = (await page.stderr.readline()).decode()
    said = await _stopped(page)

    assert waiting.startswith("Waiting: The database does not answer: ")
    assert (page.returncode, said) == (0, [])
