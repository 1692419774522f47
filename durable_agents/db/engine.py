"""The connection pool, and how its failures are named."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from psycopg.errors import IdleInTransactionSessionTimeout
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from durable_agents.db.bounded_connection import BoundedConnection
from durable_agents.db.storable import keep_storable, storable_json
from durable_agents.models.errors import (
    ConfigurationError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
)

CONNECT_TIMEOUT_S = 3
POOL_TIMEOUT_S = 10  # a burst of steps waits for its turn
STATEMENT_TIMEOUT_MS = 4500  # a mutation closes within 5 s
IDLE_IN_TRANSACTION_S = 10.0  # of a process that froze: nobody waits for its locks for longer


class Database:
    """PostgreSQL behind a pool of connections. Text that it cannot keep is cleaned on the way.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/NAME`, or any form that SQLAlchemy reads.
        pool_size: How many connections are kept; as many again are opened under load.
        idle_in_transaction_s: The longest that a transaction may stand still; it is then lost.

    Raises:
        ConfigurationError: The address is not one of PostgreSQL.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        idle_in_transaction_s: float = IDLE_IN_TRANSACTION_S,
    ) -> None:
        self.url = _address(url)
        options = (
            f"-c statement_timeout={STATEMENT_TIMEOUT_MS} "
            f"-c idle_in_transaction_session_timeout={int(idle_in_transaction_s * 1000)}"
        )
        self._engine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=POOL_TIMEOUT_S,
            pool_use_lifo=True,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,  # nothing to roll back: transactions close themselves
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": options,
                "async_creator_fn": BoundedConnection.connect,
            },
            json_serializer=storable_json,
            hide_parameters=True,  # what people write is no part of a log
        )
        keep_storable(self._engine)
        self._transactional = self._engine.execution_options(isolation_level="READ COMMITTED")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """One transaction: committed at the end, rolled back when anything is raised."""
        with _failures_named():
            async with self._transactional.begin() as connection:
                yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncGenerator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own."""
        with _failures_named():
            async with self._engine.connect() as connection:
                yield connection

    async def ping(self) -> str:
        """Reach the server and tell its version.

        Raises:
            DatabaseUnavailableError: It does not answer.
        """
        async with self.statement() as connection:
            return str(await connection.scalar(text("SHOW server_version")))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _address(url: str) -> URL:
    """The address of a database, for the driver.

    Raises:
        ConfigurationError: It is not one of PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "DATABASE_URL cannot be read: give it as postgresql://USER:PASSWORD@HOST/NAME."
        ) from error
    if not parsed.drivername.startswith("postgres"):
        raise ConfigurationError(
            f"DATABASE_URL names {parsed.drivername}, but only PostgreSQL is supported."
        )
    if "@" in (parsed.host or ""):  # and so a part of the password, which no message may show
        raise ConfigurationError(
            "DATABASE_URL cannot be read: it has more than one @. Write that of the password "
            "as %40, or leave the password out and set PGPASSWORD."
        )
    return parsed.set(drivername="postgresql+psycopg")


@contextmanager
def _failures_named() -> Generator[None]:
    """Raise what a lost connection raises as `DatabaseUnavailableError`."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise DatabaseUnavailableError(
            f"The database does not answer: {_first_line(error)} "
            "Check DATABASE_URL and that the server runs."
        ) from error
    except DBAPIError as error:
        if isinstance(error.orig, IdleInTransactionSessionTimeout):
            raise DatabaseUnavailableError(
                "The process stood still in a transaction for too long, and the database undid "
                "it. Try again."
            ) from error
        # data that does not fit; the statement stays out of sight
        raise DatabaseRefusedError(
            f"The database refuses what was to be written: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    """The first line of a driver's message, closed with a full stop."""
    origin = getattr(error, "orig", None) or error
    line = str(origin).strip().split("\n", 1)[0].rstrip(".")
    return f"{line}."
