"""One stack for all checks, brought up by the first that needs it."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.containers.stack import Stack, running_stack
from tests.containers.working import Work


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack() as running:
        yield running


@pytest.fixture(scope="session")
async def there(stack: Stack) -> Client:
    return await connect(Settings(temporal_address=stack.temporal))


@pytest.fixture
def work(there: Client, stack: Stack) -> Work:
    return Work(there, stack)
