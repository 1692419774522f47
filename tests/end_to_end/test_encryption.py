"""Keys as people use them: made, given to a worker and to a command, and missing."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, folder_for_commands, make_namespace

NAMESPACE = "encrypted"


@pytest.fixture(scope="module")
async def command(client: Client, settings: Settings) -> AsyncIterator[Commands]:
    await make_namespace(client, NAMESPACE)
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder), TEMPORAL_NAMESPACE=NAMESPACE)


async def test_with_a_made_key_runs_are_encrypted_and_a_worker_without_it_does_not_start(
    command: Commands, client: Client, settings: Settings
) -> None:
    made = await command("keys", "make", "first")
    name, _, keys = made.out.strip().partition("=")

    async with command.worker(PAYLOAD_KEYS=keys):
        advised = await command(
            "weather-advice", "Oslo", "--id", "sealed", "--json", PAYLOAD_KEYS=keys
        )
    refused = await command.program(sys.executable, "-m", "workers", HEALTH_PORT="0")

    assert (made.code, name, keys.partition(":")[0]) == (0, "PAYLOAD_KEYS", "first")
    assert advised.code == 0
    assert "Oslo" in advised.out
    assert refused.code == 2
    assert "Runs are encrypted with the key 'first', which is not in PAYLOAD_KEYS" in refused.err
    there = await Client.connect(settings.temporal_address, namespace=NAMESPACE)
    history = (await there.get_workflow_handle("sealed").fetch_history()).to_json()
    assert "Oslo" not in history
    assert "YmluYXJ5L2VuY3J5cHRlZA==" in history  # binary/encrypted


async def test_a_second_key_is_put_before_the_first(command: Commands) -> None:
    first = (await command("keys", "make", "first")).out.strip().partition("=")[2]

    second, listed = await asyncio.gather(
        command("keys", "make", "second", PAYLOAD_KEYS=first),
        command("keys", "list", PAYLOAD_KEYS=first),
    )

    assert second.out.startswith("PAYLOAD_KEYS=second:")
    assert second.out.strip().endswith(f",{first}")
    assert listed.out.strip() == "first  encrypts and decrypts"
