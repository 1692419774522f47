"""Whatever is killed, nothing outlives it and nothing is lost."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.embedded.services import EmbeddedServices
from tests.runtime.holding import embedded_settings, gone, held_services
from tests.runtime.keeping import (
    DATABASE_ONLY,
    TEMPORAL_ONLY,
    assert_row_is_still_there,
    assert_run_is_still_there,
    data_folder,
    mode_of,
    settings_of,
    start_run,
    write_row,
)

NOBODY_WITH_OUR_PYTHON = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    # The interpreter may lie below a private home folder: nobody may read, but write nothing.
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)


async def test_a_server_that_somebody_else_started_on_the_data_is_left_alone(
    state_dir: Path,
) -> None:
    async with EmbeddedServices(embedded_settings(state_dir, **DATABASE_ONLY)):
        pass
    data = data_folder(state_dir)
    other = await asyncio.create_subprocess_exec("sleep", "100", cwd=data)
    (data / "postmaster.pid").write_text(f"{other.pid}\n")

    with pytest.raises(ConfigurationError, match=f"runs already on the data .* {other.pid}"):
        async with EmbeddedServices(embedded_settings(state_dir, **DATABASE_ONLY)):
            pass

    assert (data / "postmaster.pid").exists()
    other.kill()
    await other.wait()


async def test_nothing_outlives_a_parent_that_is_killed_and_the_next_start_goes_on(
    state_dir: Path,
) -> None:
    async with held_services(state_dir, **DATABASE_ONLY) as holder:
        await write_row(settings_of(state_dir))

        holder.kill()

        # The next `up` may come at once: it waits until the watcher is done.
        async with EmbeddedServices(embedded_settings(state_dir, **DATABASE_ONLY)) as next_up:
            assert await gone(holder.family, within=0.1)
            await assert_row_is_still_there(next_up.settings)


async def test_a_killed_parent_leaves_no_process_and_no_run_file_after_five_seconds(
    state_dir: Path,
) -> None:
    async with held_services(state_dir) as holder:
        assert {holder.watcher, holder.sleeper} < set(holder.family)

        holder.kill()

        assert await gone(holder.family, within=5)
        assert not (state_dir / "run.json").exists()


async def test_after_a_crash_of_the_machine_the_data_is_still_there(state_dir: Path) -> None:
    async with held_services(state_dir) as holder:
        await write_row(settings_of(state_dir))
        await start_run(settings_of(state_dir))

        for pid in (holder.watcher, holder.process.pid, *holder.family):
            if process_identity(pid):
                os.kill(pid, signal.SIGKILL)
        assert await gone(holder.family, within=5)

    # The number of the dead server belongs to another process by now, of the same account.
    other = await asyncio.create_subprocess_exec("sleep", "100", **as_owner_of_data(state_dir))
    pretend_postmaster_pid(state_dir, other.pid)
    async with EmbeddedServices(embedded_settings(state_dir)) as next_up:
        await assert_row_is_still_there(next_up.settings)
        await assert_run_is_still_there(next_up.settings)
    other.kill()
    await other.wait()


async def test_parts_that_outlived_parent_and_watcher_are_ended_by_the_next_up(
    state_dir: Path,
) -> None:
    async with held_services(state_dir, **DATABASE_ONLY) as holder:
        await write_row(settings_of(state_dir))
        os.kill(holder.watcher, signal.SIGKILL)
        holder.kill()
        assert await gone([holder.watcher], within=2)

        async with EmbeddedServices(embedded_settings(state_dir, **DATABASE_ONLY)) as next_up:
            assert await gone(holder.family, within=0.1)
            await assert_row_is_still_there(next_up.settings)


async def test_ctrl_c_in_the_terminal_reaches_the_parent_alone(state_dir: Path) -> None:
    async with held_services(state_dir, **TEMPORAL_ONLY) as holder:
        os.killpg(holder.process.pid, signal.SIGINT)  # the holder itself ignores it

        assert not await gone([holder.sleeper], within=0.3)
        assert all(os.getpgid(pid) != holder.process.pid for pid in holder.family)
        assert all(process_identity(pid) for pid in holder.family)


async def test_an_ordinary_user_keeps_everything_below_the_state_folder() -> None:
    base = Path(f"/tmp/da-test-nobody-{os.getpid()}")  # noqa: S108  # pytest's folders are root's
    deep = base / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    for folder in (base, deep.parent, deep):
        os.chown(folder, 65534, 65534)
    try:
        async with held_services(deep, *NOBODY_WITH_OUR_PYTHON) as holder:
            await write_row(settings_of(deep))
            place = settings_of(deep).database_url.get_secret_value()
            socket_folder = Path(place.partition("host=")[2].partition("&")[0])
            private = mode_of(socket_folder) & 0o777

            holder.kill()

            assert await gone(holder.family, within=5)
            assert mode_of(socket_folder) == 0
            assert private == 0o700
            assert data_folder(deep).is_relative_to(deep)
    finally:
        shutil.rmtree(base)


def as_owner_of_data(state_dir: Path) -> dict[str, Any]:
    owner = data_folder(state_dir).stat()
    return {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}


def pretend_postmaster_pid(state_dir: Path, pid: int) -> None:
    file = data_folder(state_dir) / "postmaster.pid"
    lines = file.read_text().splitlines()
    assert lines[0].isdigit()
    file.write_text("\n".join([str(pid), *lines[1:]]) + "\n")
