"""At most one `up` in a state folder."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.parts import Part, Stage
from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.embedded.run_file import write_run_file
from durable_agents.runtime.embedded.run_lock import RunLock


async def test_a_second_one_is_told_who_has_it_and_where(tmp_path: Path) -> None:
    lock = await RunLock.acquire(tmp_path)

    with pytest.raises(ConfigurationError) as refused:
        await RunLock.acquire(tmp_path)

    lock.release()
    assert f"pid {os.getpid()}" in refused.value.message
    assert str(tmp_path) in refused.value.message


async def test_a_lock_file_left_by_a_crash_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "up.lock").write_text('{"pid": 1, "identity": "of another boot", "parts": []}')

    lock = await RunLock.acquire(tmp_path)

    lock.release()


async def test_a_damaged_lock_file_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "up.lock").write_text("{half")

    lock = await RunLock.acquire(tmp_path)

    lock.release()


async def test_a_run_whose_lock_file_was_deleted_is_still_respected(tmp_path: Path) -> None:
    write_run_file(tmp_path / "run.json", {})

    with pytest.raises(ConfigurationError, match="already runs here"):
        await RunLock.acquire(tmp_path)


async def test_parts_left_by_a_killed_run_are_ended_first(tmp_path: Path) -> None:
    left = await asyncio.create_subprocess_exec("sleep", "100")
    earlier = await RunLock.acquire(tmp_path)
    earlier.record([Part("left", left.pid, process_identity(left.pid), Stage.TEMPORAL)])
    earlier.release()

    lock = await RunLock.acquire(tmp_path)

    lock.release()
    assert await left.wait() == -signal.SIGTERM


def test_the_run_file_is_private_and_names_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "run.json"

    write_run_file(path, {"temporal_address": "127.0.0.1:7233"})

    assert path.stat().st_mode & 0o777 == 0o600
    assert f'"pid": {os.getpid()}' in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
