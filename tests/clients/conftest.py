"""A server on loopback with one page."""

from collections.abc import AsyncGenerator

import pytest

from tests.clients.loopback import Loopback, answer, loopback


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback(page=answer("Guten Tag", kind="Text/Plain; charset=UTF-8")) as running:
        yield running
