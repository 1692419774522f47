"""One simulator for these tests, in a thread, and the clients that speak to it."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from openai import AsyncOpenAI

from durable_agents.simulator.serving import SimulatorThread


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    with SimulatorThread() as running:
        yield running.url


@pytest.fixture
async def http(simulator_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=simulator_url, timeout=10, trust_env=False) as client:
        yield client
        await client.delete("/_faults")
        await client.delete("/_calls")


@pytest.fixture
async def openai_client(simulator_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        api_key="any", base_url=f"{simulator_url}/v1", max_retries=0, timeout=10
    ) as client:
        yield client
