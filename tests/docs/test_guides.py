"""The guides, tried as they are written: pasted into a copy of the checkout, and run there.

Departures: the worker is started by the test and not by `durable-agents up`, in a namespace of
its own, and `python -m tests.histories.record` uses the servers of the tests, and records the
guide's own histories alone where no name is given.
"""

import asyncio
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agents.runtime.settings import Settings
from tests.commanding import COMMAND, Commands, Ended, make_namespace
from tests.docs.guides import ROOT, Change, Shown, copy_checkout, steps_of

GUIDES = ("add-an-agent", "add-a-tool", "add-a-flow", "changing-workflows")
PACKAGES = ("durable_agents", "activities", "workflows", "workers", "starters", "tests")
RECORD = "python -m tests.histories.record"
RECORD_NEW = """
import asyncio
import sys
from tests.histories.record import FOLDER, SCENES, connect, play, selected, write
from tests.steering import Simulator
from durable_agents.db.engine import Database
from durable_agents.runtime.ending import end_process
from durable_agents.runtime.settings import Settings

async def main():
    settings = Settings.load()
    database = Database(settings.database_url.get_secret_value())
    client, simulator = await connect(settings), Simulator(settings.simulator_url)
    names = sys.argv[1:]
    new = [scene for scene in SCENES if not (FOLDER / f"{scene.name}.json").exists()]
    for scene in selected(names) if names else new:
        await write(FOLDER, await play(client, scene, simulator, database))
    await simulator.close()
    await database.close()

asyncio.run(main())
end_process(0)  # the SDK's runtime may abort an interpreter that ends by itself
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout in which people run commands."""

    folder: Path
    command: Commands

    async def run(self, line: str) -> Ended:
        """Run a line of a guide."""
        program, *args = shlex.split(line)
        if line.startswith(RECORD) and "--release" not in args:
            return await self.command.program(sys.executable, "-c", RECORD_NEW, *args[2:])
        known = {"python": sys.executable, "durable-agents": COMMAND}
        return await self.command.program(known[program], *args)

    async def tried(self, shown: Shown) -> None:
        """Run a command of a guide, which must end well and print what the guide shows."""
        ended = await self.run(shown.command)

        told = f"$ {shown.command}\n{ended.out}{ended.err}"
        assert ended.code == 0, told
        assert shown.missing_in(f"{ended.out}{ended.err}") == [], told


async def checkout_of(client: Client, settings: Settings, guide: str, folder: Path) -> Checkout:
    copied = copy_checkout(folder)
    await make_namespace(client, guide)
    command = Commands(settings, copied, PYTHONPATH=str(copied), TEMPORAL_NAMESPACE=guide)
    return Checkout(copied, command)


@pytest.mark.parametrize("guide", GUIDES)
async def test_what_a_guide_says_works_as_written(
    client: Client, settings: Settings, tmp_path: Path, guide: str
) -> None:
    checkout = await checkout_of(client, settings, guide, tmp_path)
    steps = steps_of((ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8"))
    changes = [step for step in steps if isinstance(step, Change)]
    commands = [step for step in steps if isinstance(step, Shown)]

    for change in changes:
        change.apply(checkout.folder)

    assert changes
    assert commands
    async with asyncio.TaskGroup() as checks:
        checks.create_task(_copy_wins(checkout))
        checks.create_task(_linted(checkout, changes))
        async with checkout.command.worker():
            for shown in commands:
                await checkout.tried(shown)


async def _copy_wins(checkout: Checkout) -> None:
    """What runs is the copy, and not the checkout that is installed."""
    code = f"import {', '.join(PACKAGES)}; print({', '.join(f'{p}.__path__[0]' for p in PACKAGES)})"

    ended = await checkout.command.program(sys.executable, "-c", code)

    assert ended.out.split() == [str(checkout.folder / package) for package in PACKAGES], ended.err


async def _linted(checkout: Checkout, changes: list[Change]) -> None:
    paths = sorted({change.path for change in changes})
    for args in (("check",), ("format", "--check")):
        ended = await checkout.command.program(sys.executable, "-m", "ruff", *args, *paths)

        assert ended.code == 0, ended.out + ended.err
