"""The server of the page, with an application that is only what a test needs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette

from durable_agents.models.errors import ConfigurationError, DatabaseUnavailableError
from durable_agents.runtime.startup import EXIT_TRY_LATER, exit_code_of
from inbox.serving import listen, serve
from starters.terminal import EXIT_CANNOT_START


async def test_a_page_whose_database_went_away_while_it_started_is_started_again() -> None:
    @asynccontextmanager
    async def without_database(_: Starlette) -> AsyncGenerator[None]:
        raise DatabaseUnavailableError("The database does not answer.")
        yield

    with listen("127.0.0.1", 0) as listening, pytest.raises(ConfigurationError) as refused:
        await serve(Starlette(lifespan=without_database), listening, on_ready=lambda: None)

    assert exit_code_of(refused.value, 600, EXIT_CANNOT_START) == EXIT_TRY_LATER
