"""The watcher ends what is left, registered or not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import Child, ChildSpec
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.parts import Stage
from durable_agents.runtime.embedded.process_identity import process_identity
from durable_agents.runtime.embedded.run_lock import RunLock
from durable_agents.runtime.embedded.watch import Watch
from tests.runtime.holding import gone

STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


@pytest.fixture
async def lock(tmp_path: Path) -> AsyncIterator[RunLock]:
    lock = await RunLock.acquire(tmp_path)
    yield lock
    lock.release()


@pytest.fixture
async def watch(lock: RunLock, tmp_path: Path) -> AsyncIterator[Watch]:
    watch = await Watch.start(lock=lock.descriptor, log=tmp_path / "watcher.log")
    yield watch
    await watch.close()


@pytest.fixture
async def children(watch: Watch, lock: RunLock, tmp_path: Path) -> AsyncIterator[Children]:
    children = Children(watch, lock, tmp_path)
    yield children
    await children.stop()


async def never() -> bool:
    return False


def spec(*argv: str, grace_s: float = 5.0) -> ChildSpec:
    return ChildSpec("part", argv, Stage.WORKERS, grace_s=grace_s)


async def test_a_child_that_was_not_registered_yet_goes_with_the_group(
    lock: RunLock, tmp_path: Path
) -> None:
    watch = await Watch.start(lock=lock.descriptor, log=tmp_path / "watcher.log")
    child = await asyncio.create_subprocess_exec("sleep", "100", process_group=watch.group)

    await watch.close()

    assert await child.wait() == -signal.SIGKILL


async def test_litter_is_removed(lock: RunLock, tmp_path: Path) -> None:
    watch = await Watch.start(lock=lock.descriptor, log=tmp_path / "watcher.log")
    file, folder = tmp_path / "run.json", tmp_path / "socket"
    file.touch()
    folder.mkdir()
    for path in (file, folder, tmp_path / "was never there"):
        watch.litter(path)

    await watch.close()

    assert not file.exists()
    assert not folder.exists()


async def test_the_watcher_ignores_what_a_terminal_sends(watch: Watch, children: Children) -> None:
    child = await children.start(spec("sleep", "100"))
    await asyncio.sleep(0.3)  # until it has set its handlers

    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(watch.group, number)

    assert not await gone([watch.group, child.pid], within=0.3)


async def test_a_child_that_ends_before_it_is_ready_says_why(
    children: Children, tmp_path: Path
) -> None:
    child = await children.start(spec("sh", "-c", "echo FATAL: no room; echo bye; exit 3"))

    with pytest.raises(ConfigurationError) as failed:
        await child.wait_until(never, seconds=10)

    assert failed.value.message == (
        f"part ended with exit code 3: FATAL: no room (log: {tmp_path / 'part.log'})."
    )


async def test_a_child_that_is_never_ready_is_given_up(children: Children) -> None:
    child = await children.start(spec("sh", "-c", "echo still warming up; sleep 100"))

    with pytest.raises(ConfigurationError, match=r"not ready after 0.3 s: still warming up"):
        await child.wait_until(never, seconds=0.3)


async def test_a_program_that_is_not_there_is_one_sentence(children: Children) -> None:
    with pytest.raises(ConfigurationError, match="cannot be started"):
        await children.start(spec("/no/such/program"))


async def test_a_child_that_ignores_the_request_to_end_is_killed(children: Children) -> None:
    child = await children.start(spec("sh", "-c", STUBBORN, grace_s=0.3))
    await asyncio.sleep(0.1)

    await child.stop()

    assert child.process.returncode == -signal.SIGKILL


async def test_a_child_that_ends_unasked_is_reported(children: Children) -> None:
    await children.start(spec("sh", "-c", "echo out of memory; exit 9"))

    failure = await asyncio.wait_for(children.next_failure(), 5)

    assert (failure.name, failure.exit_code, failure.last_line) == ("part", 9, "out of memory")


async def test_a_child_that_was_asked_to_end_is_not_reported(children: Children) -> None:
    child: Child = await children.start(spec("sleep", "100"))

    await child.stop()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(children.next_failure(), 0.2)
    assert process_identity(child.pid) == ""


async def test_a_long_log_is_kept_once_and_begun_anew(children: Children, tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_bytes(b"x" * 6_000_000)

    child = await children.start(spec("sh", "-c", "echo new; sleep 100"))
    await asyncio.sleep(0.2)

    assert child.log_lines() == ["new"]
    assert log.with_suffix(".log.1").stat().st_size == 6_000_000
