"""A database that no worker of the session looks into: its reconciler would take up jobs."""

from collections.abc import AsyncIterator

import pytest

from durable_agents.db.engine import Database
from durable_agents.db.seed import seed
from durable_agents.runtime.settings import Settings
from tests.conftest import EXAMPLES
from tests.db.databases import migrated_database


@pytest.fixture(scope="session")
async def database_url(settings: Settings) -> AsyncIterator[str]:
    url = settings.database_url.get_secret_value()
    async with migrated_database(url) as database:
        await seed(database, EXAMPLES)
        yield database.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()
