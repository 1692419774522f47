"""Somebody who may review, requests in memory, and the page that shows them."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette

from durable_agents.db import people
from durable_agents.db.engine import Database
from durable_agents.models.people import Person
from tests.inbox.browsing import PASSWORD, Browser, an_app
from tests.inbox.fake_store import FakeStore, a_request
from tests.workflows.runs import token


@pytest.fixture(scope="package", autouse=True)
def _quick_hashes() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - autouse
    """Hashes that take no time, of the same kind; what real ones cost is tested beside them."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("durable_agents.db.passwords._HASHER", quick)
        yield


@pytest.fixture(scope="package")
async def person(_quick_hashes: None, database: Database) -> Person:
    async with database.statement() as connection:
        made = await people.add_user(connection, f"i-{token().lower()}")
        return await people.set_password(connection, made.name, PASSWORD)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(a_request(1), a_request(2, reviewer="lawyer"))


@pytest.fixture
def app(database: Database, store: FakeStore) -> Starlette:
    return an_app(database, store)


@pytest.fixture
async def browser(app: Starlette, person: Person) -> Browser:
    """A browser in which the person is signed in."""
    opened = Browser(app)
    await opened.sign_in(person.name)
    return opened
