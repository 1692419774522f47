"""Commands that are forked: no other than those that are started."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.commanding import COMMAND, Commands
from tests.forking import FORKS, LOOKS_EVERY_S, PROJECT, STARTS_WITHIN_S
from tests.workflows.runs import until

Hanging = Callable[[float], Awaitable[tuple[int, str, str]]]
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.commanding import Commands
from tests.forking import FORKS

asyncio.run(Commands(None, Path(sys.argv[1]))("--help"))
print(FORKS.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Started(Commands):
    """Commands of which each is started."""

    forks = False


@pytest.mark.parametrize(
    "words",
    [["--help"], ["nonsense"], ["react"], ["react", "--json", "What is 2 + 2?"], ["keys", "make"]],
)
async def test_a_forked_command_says_what_a_started_one_says(
    tmp_path: Path, words: list[str]
) -> None:
    env = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}

    forked = await Commands(None, tmp_path, **env)(*words)
    started = await Started(None, tmp_path, **env)(*words)

    made = words[0] == "keys"  # which is another each time
    assert (forked.code, forked.err) == (started.code, started.err)
    assert len(forked.out) == len(started.out) if made else forked.out == started.out


async def test_a_forked_command_reads_its_folder_its_variables_and_its_input(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=loud\n")

    by_file = await Commands(None, tmp_path)("list")
    by_variable = await Commands(None, tmp_path, LOG_LEVEL="louder")("list")
    (tmp_path / ".env").unlink()
    by_input = await Commands(None, tmp_path)("react", "-", stdin=b"\xff")

    assert by_file.sentence.startswith("LOG_LEVEL is not usable")
    assert by_variable.sentence == by_file.sentence
    assert "UTF-8" in by_input.last


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    """A command that gets no answer, for ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        variables = {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}"}
        environment = Commands(None, tmp_path).environment(variables)
        yield lambda within_s: FORKS.run([COMMAND, "list"], environment, tmp_path, b"", within_s)


async def test_a_forked_command_that_takes_too_long_is_ended(
    tmp_path: Path, hanging: Hanging
) -> None:
    running = asyncio.ensure_future(hanging(2))
    await until(stands_in(tmp_path, True), "the command runs", within=STARTS_WITHIN_S)

    with pytest.raises(TimeoutError):
        await running

    await until(stands_in(tmp_path, False), "the command is gone", within=5)


async def test_a_forked_command_that_nobody_waits_for_any_more_is_ended(
    tmp_path: Path, hanging: Hanging
) -> None:
    running = asyncio.ensure_future(hanging(60))
    await until(stands_in(tmp_path, True), "the command runs", within=STARTS_WITHIN_S)

    running.cancel()

    await until(stands_in(tmp_path, False), "the command is gone", within=5)


async def test_what_forks_ends_when_the_tests_are_killed(tmp_path: Path) -> None:
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(tmp_path)),
        cwd=PROJECT,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
    )

    told, _ = await killed.communicate()

    assert killed.returncode == -signal.SIGKILL

    async def gone() -> bool:
        return not is_running(int(told))

    await until(gone, "what forks is gone", within=4 * LOOKS_EVERY_S)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that ended may wait for somebody to note it."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return told.rpartition(")")[2].split()[0] != "Z"


def stands_in(folder: Path, wanted: bool) -> Callable[[], Awaitable[bool]]:
    """Asks whether a process stands in a folder, or none does."""

    async def there() -> bool:
        return _any_in(folder) is wanted

    return there


def _any_in(folder: Path) -> bool:
    return any(_leads_to(link, folder) for link in Path("/proc").glob("[0-9]*/cwd"))


def _leads_to(link: Path, folder: Path) -> bool:
    try:
        return link.resolve() == folder
    except OSError:
        return False
