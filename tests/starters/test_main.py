"""The command line lists its commands without loading them."""

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from starters.main import COMMANDS, command_line
from tests.commanding import Commands

SLOW = {"openai", "sqlalchemy", "apprise", "workers", "workflows"}
LOADED = """
import json, sys
import starters.main as command_line
command_line.run_to_end = lambda app: app(["--help"], standalone_mode=False)
command_line.main()
print(json.dumps(sorted(sys.modules)))
"""


def help_of(app: typer.Typer) -> str:
    return CliRunner().invoke(app, ["--help"], env={"COLUMNS": "140"}).output


def test_the_list_is_the_same_as_if_all_commands_were_loaded() -> None:
    listed = help_of(command_line((), listed=COMMANDS))

    assert listed == help_of(command_line())
    assert all(f" {name} " in listed for name in COMMANDS)


async def test_listing_the_commands_loads_none_of_them(tmp_path: Path) -> None:
    ended = await Commands(None, tmp_path).program(sys.executable, "-c", LOADED)

    loaded = {name.split(".")[0] for name in json.loads(ended.out.splitlines()[-1])}
    assert "durable_agents" in loaded
    assert loaded & SLOW == set()


@pytest.mark.parametrize("before", [(), ("--",)])
async def test_a_command_is_loaded_wherever_it_stands(
    tmp_path: Path, before: tuple[str, ...]
) -> None:
    ended = await Commands(None, tmp_path)(*before, "weather-advice", "--help")

    assert ended.code == 0
    assert "The city to dress for." in ended.out
