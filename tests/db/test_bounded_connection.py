"""A database that falls silent: connections wait so long for it, and no longer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from durable_agents.db.bounded_connection import BoundedConnection, without_bound
from durable_agents.db.engine import Database
from durable_agents.models.errors import DatabaseUnavailableError
from tests.drills.cuts import Cut

BOUND_S = 0.3


@pytest.fixture
async def cut(database_url: str) -> AsyncIterator[Cut]:
    """The network to the database."""
    socket = Path(str(make_url(database_url).query["host"])) / ".s.PGSQL.5432"
    async with Cut(socket).running() as running:
        yield running


@pytest.fixture
async def impatient(
    cut: Cut, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """The database behind that network, with a bound that a test can wait for."""
    monkeypatch.setattr(BoundedConnection, "answer_within_s", BOUND_S)
    url = make_url(database_url).set(query={"sslmode": "disable", "gssencmode": "disable"})
    address = url.set(host="127.0.0.1", port=cut.port).render_as_string(hide_password=False)
    opened = Database(address)
    yield opened
    await opened.close()


async def test_a_connection_that_fell_silent_is_given_up_and_the_next_one_works(
    cut: Cut, impatient: Database
) -> None:
    await impatient.ping()
    await cut.begin("forgotten")
    await cut.end()

    with pytest.raises(DatabaseUnavailableError, match=r"gave no answer for 0\.3 s"):
        await impatient.ping()

    assert await impatient.ping()


async def test_what_the_server_refuses_is_told_and_the_connection_is_kept(
    impatient: Database,
) -> None:
    async with impatient.statement() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    with pytest.raises(DatabaseUnavailableError, match="statement timeout"):
        await _sleep_too_long(impatient)

    async with impatient.statement() as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) == pid


async def test_what_has_to_take_long_may(impatient: Database) -> None:
    async with impatient.statement() as connection:
        await without_bound(connection)
        await connection.execute(text(f"SELECT pg_sleep({BOUND_S * 2})"))
        await connection.invalidate()


async def _sleep_too_long(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 50"))
        await connection.execute(text("SELECT pg_sleep(10)"))
