"""A server on loopback with one page, which an attacker may have written."""

from collections.abc import AsyncGenerator

import pytest

from tests.clients.loopback import Loopback, answer, loopback


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback(page=answer("Guten Tag")) as running:
        yield running
