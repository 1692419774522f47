"""`durable-agents inbox` and `up`: the page as it is really served."""

import asyncio
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text

from durable_agents.db.engine import Database
from durable_agents.runtime.embedded.postgres_home import remove_home
from durable_agents.runtime.settings import Settings
from tests.commanding import COMMAND, Commands, folder_for_commands
from tests.workflows.runs import until

URL = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.fixture
def command(settings: Settings) -> Iterator[Commands]:
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder))


@asynccontextmanager
async def running(process: Process) -> AsyncGenerator[Process]:
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.wait()


async def line_with(process: Process, words: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(90):
        async for line in process.stdout:
            if words in line.decode():
                return line.decode()
    raise AssertionError(f"it ended without saying {words!r}")


async def test_the_page_is_served_and_stops_when_told(command: Commands) -> None:
    async with running(await command.start([COMMAND, "inbox", "--port", "0"])) as process:
        found = URL.search(await line_with(process, "The reviewers' page is at"))
        assert found is not None
        async with httpx2.AsyncClient(base_url=found[0], trust_env=False) as http:
            page = await http.get("/", follow_redirects=True)
            style = await http.get(page.text.split('rel="stylesheet" href="')[1].split('"')[0])
            foreign = await http.get("/sign-in", headers={"host": "evil.example"})

    assert page.status_code == 200
    assert "Sign in" in page.text
    assert (style.status_code, style.headers["content-type"][:8]) == (200, "text/css")
    assert "server" not in page.headers
    assert foreign.status_code == 421
    assert process.returncode == 0


async def test_it_listens_to_others_only_when_told_as_what_they_reach_it(
    command: Commands,
) -> None:
    refused = await command("inbox", "--host", "0.0.0.0", "--port", "0")  # noqa: S104

    assert refused.code == 2
    assert refused.sentence.startswith("The page would be open to others at 0.0.0.0")


async def test_without_a_key_it_says_what_to_do(settings: Settings, tmp_path: Path) -> None:
    alone = Commands(None, tmp_path, DATABASE_URL=settings.database_url.get_secret_value())

    ended = await alone("inbox")

    assert ended.code == 2
    assert "set SIGNING_KEY" in ended.sentence


async def test_up_serves_the_page_lets_the_first_reviewer_in_and_tells_where_requests_are(
    tmp_path: Path,
) -> None:
    ports = ("TEMPORAL_PORT", "TEMPORAL_UI_PORT", "SIMULATOR_PORT", "HEALTH_PORT", "INBOX_PORT")
    alone = Commands(None, tmp_path, **dict.fromkeys(ports, "0"))
    try:
        async with running(await alone.start([COMMAND, "up"])) as process:
            inbox = await line_with(process, "Inbox")
            link = (await line_with(process, "/link/")).strip()
            async with httpx2.AsyncClient(trust_env=False) as http:
                invited = await http.get(link)
            users = await alone("users", "list", "--json", STATE_DIR=str(tmp_path / "var"))
            await alone("review", "task-5", "--no-wait")
            told = await notification(tmp_path / "var")
    finally:
        remove_home(tmp_path / "var")

    found = URL.search(inbox)
    assert found is not None
    assert link.startswith(found[0])
    assert "Welcome" in invited.text
    assert f"{found[0]}/requests/1" in told
    assert [one["roles"] for one in users.json["users"]] == [["reviewer"]]
    assert process.returncode == 0


async def notification(state_dir: Path) -> str:
    """What the first notification says, once there is one."""
    settings = Settings.load({"STATE_DIR": str(state_dir)}, dotenv=None)
    database = Database(settings.database_url.get_secret_value())
    bodies: list[str] = []

    async def there() -> bool:
        async with database.statement() as connection:
            bodies[:] = await connection.scalars(text("SELECT body FROM notifications"))
        return bool(bodies)

    try:
        await until(there, "a notification", within=30)
    finally:
        await database.close()
    return bodies[0]
