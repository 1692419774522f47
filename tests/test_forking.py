"""Commands that are forked: no other than those that are started."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from durable_agents.runtime.settings import Settings
from tests.commanding import COMMAND, Commands
from tests.forking import FORKS, LOOKS_EVERY_S, PROJECT

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.commanding import Commands
from tests.forking import FORKS

asyncio.run(Commands(None, Path(sys.argv[1]))("--help"))
print(FORKS.address, flush=True)
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


async def test_a_forked_command_that_takes_too_long_is_ended(
    tmp_path: Path, settings: Settings
) -> None:
    environment = Commands(settings, tmp_path).environment({})

    with pytest.raises(TimeoutError):
        await FORKS.run([COMMAND, "list"], environment, tmp_path, b"", 0.001)

    assert await nobody_in(tmp_path, within_s=10)


async def test_what_forks_ends_when_the_tests_are_killed(tmp_path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )

    told, _ = await killed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert await nobody_listens(told.decode().strip(), within_s=4 * LOOKS_EVERY_S)


async def nobody_listens(address: str, within_s: float) -> bool:
    """Whether nobody takes connections any more, in the end."""
    for _ in range(int(within_s / 0.1)):
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.connect(address)
            except ConnectionRefusedError:
                return True
        await asyncio.sleep(0.1)
    return False


async def nobody_in(folder: Path, within_s: float) -> bool:
    """Whether no process stands in a folder, in the end."""
    for _ in range(int(within_s / 0.01)):
        if not any_in(folder):
            return True
        await asyncio.sleep(0.01)
    return False


def any_in(folder: Path) -> bool:
    """Whether a process stands in a folder."""
    return any(_leads_to(link, folder) for link in Path("/proc").glob("[0-9]*/cwd"))


def _leads_to(link: Path, folder: Path) -> bool:
    try:
        return link.resolve() == folder
    except OSError:
        return False
