"""What is wrong from the start stops a container with one clear line."""

import socket
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.containers.stack import Stack
from tests.containers.working import database_of


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("LOG_LEVEL=loud", "LOG_LEVEL is not usable: "),
        ("TEMPORAL_NAMESPACE=nowhere", "has no namespace nowhere"),
        ("PAYLOAD_KEYS=short:key", "PAYLOAD_KEYS is not usable: "),
    ],
)
async def test_what_waiting_cannot_mend_stops_a_container_with_one_line(
    stack: Stack, variable: str, said: str
) -> None:
    ended = await stack.compose("run", "--rm", "-T", "--no-deps", "-e", variable, "worker")

    assert ended.code == 2
    assert said in ended.lines[-1]
    assert len([line for line in ended.lines if "Container" not in line]) == 1


@pytest.mark.parametrize(
    ("revision", "code", "said"),
    [
        ("9999", 2, "at revision 9999, which this release does not know"),
        ("0001", 75, "at revision 0001, this release needs revision "),
    ],
)
async def test_a_database_of_another_release_stops_a_container_with_one_line(
    stack: Stack, revision: str, code: int, said: str
) -> None:
    once = ("run", "--rm", "-T", "--no-deps", "-e", "STARTUP_WAIT_S=1", "worker")
    change = text("UPDATE alembic_version SET version_num = :number")
    async with database_of(stack) as rows:
        async with rows.statement() as connection:
            known = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            await connection.execute(change, {"number": revision})
        ended = await stack.compose(*once)
        async with rows.statement() as connection:
            await connection.execute(change, {"number": known})

    assert ended.code == code
    assert said in ended.lines[-1]


async def test_a_port_that_is_taken_is_named(stack: Stack) -> None:
    service = ("--profile", "observability", "up", "--detach", "--no-deps", "prometheus")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = await stack.compose(*service, env_file=stack.env_with(PROMETHEUS_PORT=port))
    await stack.must("--profile", "observability", "rm", "--force", "--stop", "prometheus")

    assert ended.code != 0
    assert f":{port}" in ended.text


@pytest.mark.parametrize("left_out", ["SIGNING_KEY", "POSTGRES_PASSWORD"])
async def test_a_variable_that_is_missing_is_named_before_anything_starts(
    stack: Stack, left_out: str
) -> None:
    given = {"SIGNING_KEY": "k" * 32, "POSTGRES_PASSWORD": "p"}
    with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
        file.writelines(f"{name}={value}\n" for name, value in given.items() if name != left_out)
        file.flush()

        ended = await stack.compose("config", "--quiet", env_file=Path(file.name))

    assert ended.code != 0
    assert left_out in ended.lines[-1]
    assert "is not set" in ended.lines[-1]
