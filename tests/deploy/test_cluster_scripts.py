"""The scripts of the profile `cluster`, as `sh` runs them."""

import asyncio
import os
import textwrap
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.temporal_server import temporal_program
from durable_agents.runtime.settings import Settings
from starters.temporal_server import look_at_search_attributes
from tests.deploy.units import ROOT

SCRIPTS = ROOT / "deploy" / "cluster"
# Programs of Temporal's images that cannot be had here: they write down how they are called.
SQL_TOOL = """
#!/bin/sh
echo "$@" >> "$CALLS"
"""
SERVES_LATE = """
#!/bin/sh
echo "$@" >> "$CALLS"
[ "$1 $2 $3" != "operator cluster health" ] || [ "$(grep -c health "$CALLS")" -gt 2 ] || exit 1
case "$*" in *list*) echo "Pattern UserId Phase";; esac
"""


@dataclass(frozen=True)
class Ran:
    """How a script ended, what it said, and how it called its programs."""

    code: int
    error: str
    calls: list[str]


async def ran(script: str, folder: Path, **environ: str) -> Ran:
    """Run a script with the programs of a folder before all others."""
    calls = folder / "calls"
    path = f"{folder}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("sh", str(SCRIPTS / script)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        env={"PATH": path, "CALLS": str(calls), "HOME": str(folder), **environ},
    )
    _, error = await process.communicate()
    told = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
    return Ran(process.returncode or 0, error.decode(), told)


def program(folder: Path, name: str, code: str) -> None:
    """Put a program into a folder."""
    file = folder / name
    file.write_text(textwrap.dedent(code).lstrip(), encoding="utf-8")
    file.chmod(0o755)


async def test_the_cluster_does_not_begin_beside_a_dev_server_and_says_what_to_set(
    tmp_path: Path,
) -> None:
    program(tmp_path, "temporal-sql-tool", SQL_TOOL)

    ended = await ran("schema.sh", tmp_path, DEV_SERVERS="1")

    assert ended.code == 2
    assert ended.error.splitlines() == [
        "The dev server would run beside the cluster: set TEMPORAL_DEV_SERVERS=0 in .env."
    ]
    assert ended.calls == []


async def test_both_databases_get_their_tables(tmp_path: Path) -> None:
    program(tmp_path, "temporal-sql-tool", SQL_TOOL)

    ended = await ran("schema.sh", tmp_path, DEV_SERVERS="0")

    folder = "/etc/temporal/schema/postgresql/v12"
    assert (ended.code, ended.error) == (0, "")
    assert ended.calls == [
        "--database temporal create-database",
        "--database temporal setup-schema --version 0.0",
        f"--database temporal update-schema --schema-dir {folder}/temporal/versioned",
        "--database temporal_visibility create-database",
        "--database temporal_visibility setup-schema --version 0.0",
        f"--database temporal_visibility update-schema --schema-dir {folder}/visibility/versioned",
    ]


async def test_the_namespace_is_made_only_when_the_server_serves(tmp_path: Path) -> None:
    program(tmp_path, "temporal", SERVES_LATE)

    ended = await ran("namespace.sh", tmp_path)

    health = [call for call in ended.calls if "health" in call]
    assert (ended.code, ended.error) == (0, "")
    assert len(health) == 3
    assert ended.calls[:3] == health


@pytest.mark.usefixtures("client")
async def test_a_server_gets_the_namespace_and_the_attributes_also_a_second_time(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "temporal").symlink_to(temporal_program())
    where = {"TEMPORAL_ADDRESS": settings.temporal_address, "TEMPORAL_NAMESPACE": "scripted"}

    ended = [await ran("namespace.sh", tmp_path, **where) for _ in range(2)]

    there: Client = await connect(settings.model_copy(update={"temporal_namespace": "scripted"}))
    assert [one.code for one in ended] == [0, 0], ended
    assert await look_at_search_attributes(there) == "Pattern, UserId, Phase"
