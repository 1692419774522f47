"""Something to keep in both stores, and whether it is still there."""

from pathlib import Path
from typing import Any

import psycopg
from temporalio.client import Client

from durable_agents.runtime.settings import Settings

DATABASE_ONLY = {"temporal_address": "127.0.0.1:1"}
TEMPORAL_ONLY = {"database_url": "postgresql+psycopg://somewhere/else"}


async def connect(settings: Settings) -> psycopg.AsyncConnection[Any]:
    url = settings.database_url.get_secret_value().replace("+psycopg", "")
    return await psycopg.AsyncConnection.connect(url, autocommit=True)


async def write_row(settings: Settings) -> None:
    async with await connect(settings) as connection:
        await connection.execute("CREATE TABLE kept (what text)")
        await connection.execute("INSERT INTO kept VALUES ('a row')")


async def assert_row_is_still_there(settings: Settings) -> None:
    async with await connect(settings) as connection:
        row = await (await connection.execute("SELECT what FROM kept")).fetchone()
    assert row == ("a row",)


async def start_run(settings: Settings) -> None:
    client = await Client.connect(settings.temporal_address)
    await client.start_workflow("Kept", id="kept", task_queue="nobody-polls")


async def assert_run_is_still_there(settings: Settings) -> None:
    client = await Client.connect(settings.temporal_address)
    found = await client.get_workflow_handle("kept").describe()
    assert found.status is not None
    assert found.status.name == "RUNNING"


def settings_of(state_dir: Path) -> Settings:
    return Settings.load({"STATE_DIR": str(state_dir)}, dotenv=None)


def mode_of(path: Path) -> int:
    return path.stat().st_mode if path.exists() else 0


def data_folder(state_dir: Path) -> Path:
    marker = state_dir / "postgres.home"
    return (Path(marker.read_text()) if marker.exists() else state_dir / "postgres") / "data"
