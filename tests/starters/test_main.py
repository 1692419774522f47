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

NEEDED = """
import json, sys
from importlib import import_module
from starters.main import COMMANDS, FLOWS, command_line
for name, (module, _, panel) in COMMANDS.items():
    if panel == FLOWS and name not in {"external-call", "process-documents"}:  # they send rows
        import_module(module)
flows = sorted(sys.modules)
command_line()
print(json.dumps([flows, sorted(sys.modules)]))
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


async def test_commands_load_no_database_for_a_run_and_openai_for_a_question_alone(
    tmp_path: Path,
) -> None:
    ended = await Commands(None, tmp_path).program(sys.executable, "-c", NEEDED)

    flows, commands = json.loads(ended.out)
    assert {"temporalio.client", "starters.react"} < set(flows)
    assert {"sqlalchemy", "openai"} & set(flows) == set()
    assert "sqlalchemy" in commands
    assert "openai" not in commands


@pytest.mark.parametrize("before", [(), ("--",)])
async def test_a_command_is_loaded_wherever_it_stands(
    tmp_path: Path, before: tuple[str, ...]
) -> None:
    ended = await Commands(None, tmp_path)(*before, "weather-advice", "--help")

    assert ended.code == 0
    assert "The city to dress for." in ended.out
