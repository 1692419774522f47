"""The embedded services as a whole, on the real servers."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.ports import answers
from durable_agents.runtime.embedded.postgres_home import remove_home
from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.settings import Settings
from tests.runtime.holding import descendants, embedded_settings
from tests.runtime.keeping import (
    DATABASE_ONLY,
    assert_row_is_still_there,
    assert_run_is_still_there,
    connect,
    mode_of,
    settings_of,
    start_run,
    write_row,
)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServices]:
    state_dir = tmp_path_factory.mktemp("state")
    async with EmbeddedServices(embedded_settings(state_dir, simulator="on")) as services:
        yield services
    remove_home(state_dir)


async def test_the_run_file_gives_other_processes_the_same_settings(
    running: EmbeddedServices,
) -> None:
    path = running.settings.run_file
    run = json.loads(path.read_text())
    simulator = run["simulator_url"]

    loaded = settings_of(running.settings.state_dir)

    assert path.stat().st_mode & 0o777 == 0o600
    assert run["pid"] == os.getpid()
    assert run["openai_base_url"] == f"{simulator}/v1"
    assert run["geocoding_url"] == run["forecast_url"] == simulator
    assert run["fetch_allow"] == [simulator.removeprefix("http://")]
    assert loaded.uses_simulator
    for name in set(run) & set(Settings.model_fields):
        assert getattr(loaded, name) == getattr(running.settings, name), name


async def test_all_parts_answer_on_loopback(running: EmbeddedServices) -> None:
    for url in (running.settings.temporal_ui_url, running.settings.simulator_url):
        assert url.startswith("http://127.0.0.1:")
        assert await answers(int(url.rpartition(":")[2]))


async def test_finished_runs_are_kept_for_30_days(running: EmbeddedServices) -> None:
    client = await Client.connect(running.settings.temporal_address)

    found = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default"), retry=True
    )

    assert found.config.workflow_execution_retention_ttl.ToTimedelta().days == 30


async def test_the_database_has_vectors_and_safe_settings(running: EmbeddedServices) -> None:
    async with await connect(running.settings) as connection:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        found = await connection.execute(
            "SELECT '[1,2]'::vector::text, current_setting('fsync'), "
            "current_setting('synchronous_commit'), current_setting('full_page_writes'), "
            "current_setting('listen_addresses'), lower('ÅÉ')"
        )

        assert await found.fetchone() == ("[1,2]", "on", "on", "on", "", "åé")


async def test_a_second_up_in_the_same_folder_is_refused(running: EmbeddedServices) -> None:
    with pytest.raises(ConfigurationError, match=f"already runs here: pid {os.getpid()}"):
        async with EmbeddedServices(embedded_settings(running.settings.state_dir)):
            pass

    assert running.settings.run_file.exists()


async def test_a_child_that_dies_is_reported_with_its_last_line(running: EmbeddedServices) -> None:
    await running.add_child(["sh", "-c", 'echo "$STATE_DIR"; kill -9 $$'], "worker")

    failure = await asyncio.wait_for(running.wait_for_failure(), 5)

    state_dir = running.settings.state_dir
    log = state_dir / "log" / "worker.log"
    assert failure.message == f"worker was ended by SIGKILL: {state_dir} (log: {log})"


async def test_a_taken_port_stops_the_start_and_leaves_nothing(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]

        with pytest.raises(ConfigurationError, match="set TEMPORAL_UI_PORT to a free port"):
            async with EmbeddedServices(embedded_settings(state_dir, temporal_ui_port=taken)):
                pass

    assert not (state_dir / "run.json").exists()
    assert descendants_named(state_dir) == []


async def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="STATE_DIR"):
        async with EmbeddedServices(embedded_settings(tmp_path / "file" / "var")):
            pass


async def test_leaving_stops_everything_and_the_next_start_has_the_same_data(
    state_dir: Path,
) -> None:
    async with EmbeddedServices(embedded_settings(state_dir)) as first:
        await write_row(first.settings)
        await start_run(first.settings)
        family = descendants(os.getpid())

    started = time.monotonic()
    async with EmbeddedServices(embedded_settings(state_dir)) as second:
        ready_after = time.monotonic() - started
        await assert_row_is_still_there(second.settings)
        await assert_run_is_still_there(second.settings)

    assert not any(process_identity(pid) for pid in set(family) - set(descendants(os.getpid())))
    assert not (state_dir / "run.json").exists()
    assert ready_after < 4  # seconds; 0.2 on a machine that does nothing else


async def test_no_permission_of_the_home_or_the_project_changes(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "home" / "project"
    project.mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    watched = [state_dir, *project.parents, project, Path.home(), Path("/root"), Path("/var/lib")]
    before = {path: mode_of(path) for path in watched}

    async with EmbeddedServices(embedded_settings(project / "var", **DATABASE_ONLY)):
        during = {path: mode_of(path) for path in watched}

    shutil.rmtree(Path((project / "var/postgres.home").read_text()), ignore_errors=True)
    assert during == before
    assert {path: mode_of(path) for path in watched} == before


def descendants_named(state_dir: Path) -> list[str]:
    lines = subprocess.run(
        ["ps", "-eo", "args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in lines if str(state_dir) in line]
