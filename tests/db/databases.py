"""More databases on the server of the tests, for what needs one alone."""

import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from durable_agents.db.engine import Database
from durable_agents.db.migrate import upgrade


@contextmanager
def created_database(url: str) -> Generator[str]:
    """The address of a new, empty database on the server that `url` reaches.

    It is dropped in the end: else the server would write all of it to the disk when it stops.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        execute(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@asynccontextmanager
async def migrated_database(url: str) -> AsyncGenerator[Database]:
    """A new database with all tables and nothing in them."""
    with created_database(url) as created:
        await upgrade(created)
        database = Database(created)
        try:
            yield database
        finally:
            await database.close()


def execute(url: str, statement: sql.SQL | sql.Composed) -> None:
    """Run one statement outside of a transaction."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(plain, autocommit=True)) as connection:
        connection.execute(statement)
