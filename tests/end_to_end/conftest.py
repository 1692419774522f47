"""Commands and a real worker, in a namespace that no other test works in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, WorkerService, folder_for_commands, make_namespace

NAMESPACE = "commands"
NOBODY = "nobody-works"


@pytest.fixture(scope="session")
async def commanded(client: Client, settings: Settings) -> Client:
    """The namespace of the commands, as its client."""
    await make_namespace(client, NAMESPACE)
    return await connect(settings.model_copy(update={"temporal_namespace": NAMESPACE}))


@pytest.fixture(scope="session")
async def command(commanded: Client, settings: Settings) -> AsyncIterator[Commands]:
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder), TEMPORAL_NAMESPACE=NAMESPACE)


@pytest.fixture(scope="session")
async def service(command: Commands) -> AsyncIterator[WorkerService]:
    async with command.worker() as running:
        yield running


@pytest.fixture(scope="session")
async def unattended(client: Client, settings: Settings) -> AsyncIterator[Commands]:
    """Commands in a namespace in which no worker works."""
    await make_namespace(client, NOBODY)
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder), TEMPORAL_NAMESPACE=NOBODY)


@pytest.fixture
def alone(tmp_path: Path) -> Commands:
    """Commands in a folder in which nothing was started."""
    return Commands(None, tmp_path)
