"""A part that is not there or does not fit: one clear sentence, exit code 2 or 4, nothing lost."""

import asyncio
import secrets
import sys
from contextlib import closing

import pytest
from temporalio.client import Client

from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, ended, make_namespace
from tests.steering import Simulator
from tests.workflows.runs import token

HINT = (
    "Start the parts with `durable-agents up` in this folder, or set TEMPORAL_ADDRESS "
    "to a server that runs."
)


@pytest.mark.parametrize("args", [("react", "hello"), ("status", "x"), ("list",), ("cancel", "x")])
async def test_without_any_parts_commands_say_how_to_start_them(
    alone: Commands, args: tuple[str, ...]
) -> None:
    ended = await alone(*args)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence == f"No Temporal server is running here. {HINT}"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "nothing listens there"),
        ("no-such-host.invalid:7233", "there is no host of this name"),
        ("not an address", "its address is not HOST:PORT"),
    ],
)
async def test_a_server_that_is_not_there_is_one_sentence(
    alone: Commands, address: str, why: str
) -> None:
    ended = await alone("react", "hello", "--json", TEMPORAL_ADDRESS=address)

    said = f"The Temporal server at {address} does not answer: {why}. {HINT}"
    assert (ended.code, ended.sentence) == (2, said)
    assert ended.json == {"error": {"type": "ConfigurationError", "message": said}}


async def test_something_else_than_a_temporal_server_is_one_sentence(alone: Commands) -> None:
    server = await asyncio.start_server(_answer_nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async with server:
        ended = await alone("list", TEMPORAL_ADDRESS=f"127.0.0.1:{port}")

    assert ended.code == 2
    assert "does not speak as a Temporal server does" in ended.sentence


async def _answer_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TEMPORAL_PORT": "abc"}, "TEMPORAL_PORT is not usable: "),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is not usable: "),
        ({"TEMPORAL_PROFILE": "nowhere"}, "Temporal's configuration cannot be used ("),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere"}, "Temporal's configuration cannot be used"),
    ],
)
async def test_a_wrong_value_in_a_variable_is_one_sentence(
    alone: Commands, variables: dict[str, str], said: str
) -> None:
    ended = await alone("list", stdin=None, **variables)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(said)


async def test_a_namespace_that_is_not_there_is_one_sentence(unattended: Commands) -> None:
    ended = await unattended("react", "hello", TEMPORAL_NAMESPACE="nowhere")

    assert ended.code == 2
    assert "has no namespace nowhere: correct TEMPORAL_NAMESPACE" in ended.sentence


async def test_a_dotenv_file_is_read_also_for_the_sdks_own_variables(
    alone: Commands, settings: Settings
) -> None:
    (alone.folder / ".env").write_text(
        f"TEMPORAL_ADDRESS={settings.temporal_address}\nTEMPORAL_NAMESPACE=nowhere\n"
    )

    ended = await alone("list")

    assert ended.code == 2
    assert f"{settings.temporal_address} has no namespace nowhere" in ended.sentence


async def test_a_profile_of_the_sdk_names_the_server(alone: Commands, settings: Settings) -> None:
    (alone.folder / "profiles.toml").write_text(
        f'[profile.staging]\naddress = "{settings.temporal_address}"\nnamespace = "nowhere"\n'
    )

    ended = await alone("list", TEMPORAL_CONFIG_FILE="profiles.toml", TEMPORAL_PROFILE="staging")

    assert ended.code == 2
    assert f"{settings.temporal_address} has no namespace nowhere" in ended.sentence


async def test_without_a_worker_a_run_is_started_and_kept(unattended: Commands) -> None:
    chosen = f"kept-{secrets.token_hex(6)}"

    ended = await unattended.soon_impatient("react", "hello", "--id", chosen, "--json")
    seen = await unattended("status", chosen, "--json")

    assert ended.code == 4
    assert ended.json["id"] == chosen
    assert (ended.json["status"], ended.json["error"]["type"]) == ("running", "NobodyWorks")
    assert ended.sentence.startswith(f"Run {chosen} is started and safe, but no worker is there")
    assert "python -m workers" in ended.sentence
    assert seen.code == 0
    assert seen.json["status"] == "running"
    assert seen.json["error"].startswith("No worker answers just now")


async def test_a_server_that_goes_away_while_somebody_waits_is_one_sentence(
    unattended: Commands, settings: Settings
) -> None:
    host, port = settings.temporal_address.split(":")
    pipes: list[asyncio.Task[None]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        pipes.append(asyncio.ensure_future(_pump(reader, there_writer)))
        pipes.append(asyncio.ensure_future(_pump(there_reader, writer)))

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    address = f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    code = "import starters.presence as p, starters.main; p.NOBODY_FOR_S = 2; starters.main.main()"
    env = {"TEMPORAL_ADDRESS": address, "OPENAI_API_KEY": "x"}
    waiting = await unattended.start([sys.executable, "-c", code, "react", "hello"], env=env)
    assert waiting.stderr is not None
    first = (await waiting.stderr.readline()).decode()
    proxy.close()
    for pipe in pipes:
        pipe.cancel()
    left = await ended(waiting)

    assert (left.code, left.out) == (4, "")
    assert first.startswith("react-")
    assert "is started and safe, but the Temporal server does not answer any more" in left.last


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def test_a_wrong_api_key_fails_the_run_at_once(
    client: Client, settings: Settings, unattended: Commands, simulator: Simulator
) -> None:
    name, word = "wrong-key", token()
    await make_namespace(client, name)
    variables = {"TEMPORAL_NAMESPACE": name, "OPENAI_BASE_URL": settings.openai_base_url}

    async with unattended.worker(**variables, OPENAI_API_KEY="wrong"):
        ended = await unattended("react", word, "--json", TEMPORAL_NAMESPACE=name)

    assert ended.code == 1
    assert ended.json["error"]["type"] == "ModelAuthenticationError"
    assert "OPENAI_API_KEY" in ended.sentence
    assert len(await simulator.calls(word)) <= 1
