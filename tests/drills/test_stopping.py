"""A drill that is told to stop leaves nothing behind."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from durable_agents.runtime.embedded.process_identity import is_alive, process_identity

PROJECT = Path(__file__).parent.parent.parent
# A background job of a shell that is not interactive begins with SIGINT ignored.
PROGRAM = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from tests.drills.servers import running_servers
from tests.drills.stopping import until_stopped

async def work():
    async with running_servers() as servers:
        pids = [servers.children.pid_of(name) for name in ("temporal", "postgres")]
        print(servers.folder, *pids, flush=True)
        await asyncio.Event().wait()

sys.exit(asyncio.run(until_stopped(work())))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_drill_that_is_told_to_stop_ends_its_servers_and_unmounts_its_disk(
    number: signal.Signals,
) -> None:
    drill = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=PIPE, cwd=PROJECT, start_new_session=True
    )
    assert drill.stdout is not None
    folder, *pids = (await drill.stdout.readline()).decode().split()
    servers = [(int(pid), process_identity(int(pid))) for pid in pids]

    os.kill(drill.pid, number)
    code = await asyncio.wait_for(drill.wait(), 30)

    assert code == 128 + number
    assert [pid for pid, identity in servers if is_alive(pid, identity)] == []
    assert not is_left(folder)


def is_left(folder: str) -> bool:
    """Whether a folder is still there, which a disk that is mounted in it would keep."""
    return Path(folder).exists()
