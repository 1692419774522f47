"""Bring the database to the tables that this release knows.

Revisions are numbered files in `migrations/versions/`: `0001_initial.py` is revision `0001`, the
highest number is the head. So a worker can check the database without loading Alembic.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.bounded_connection import without_bound
from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError, DatabaseUnavailableError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_KEY = 0x0D08_AB1E_A6E7  # any number, the same for every release
LOCK_TIMEOUT_S = 60
PGVECTOR_MINIMUM = (0, 7)  # the first with halfvec


async def upgrade(url: str) -> None:
    """Apply what is missing, in one transaction; nothing happens when nothing is.

    Several processes may do this at once: one applies, the others wait for it.

    Args:
        url: The database, as `Database` takes it.

    Raises:
        ConfigurationError: The database is newer than this release, or lacks what it needs.
        DatabaseUnavailableError: It does not answer, or another upgrade does not end.
    """
    database = Database(url, pool_size=1)
    try:
        async with database.statement() as connection:
            if await _is_at_head(connection):
                return
        async with database.transaction() as connection:
            await without_bound(connection)
            await _take_lock(connection)
            if await _is_at_head(connection):
                return
            await _require_pgvector(connection)
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await _apply(connection)
    finally:
        await database.close()


async def current_revision(url: str) -> str | None:
    """The revision that the database is at; None when it holds no tables of ours.

    Raises:
        DatabaseUnavailableError: It does not answer.
    """
    database = Database(url, pool_size=1)
    try:
        async with database.statement() as connection:
            return await _revision(connection)
    finally:
        await database.close()


async def check(database: Database) -> None:
    """Make sure that the database has the tables of this release.

    Raises:
        ConfigurationError: It is empty, behind, or newer than this release.
        DatabaseUnavailableError: It does not answer.
    """
    async with database.statement() as connection:
        if await _is_at_head(connection):
            return
        revision = await _revision(connection)
    state = f"at revision {revision}" if revision else "empty"
    raise ConfigurationError(
        f"The database is {state}, this release needs revision {head_revision()}: "
        "run `durable-agents db upgrade`.",
        may_pass=True,
    )


def head_revision() -> str:
    """The revision of this release."""
    return max(_revisions(MIGRATIONS))


def config(connection: Connection, *, folder: Path = MIGRATIONS) -> "Config":
    """Alembic's configuration, for its commands to run on `connection`."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(folder).replace("%", "%%"))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    made.attributes["connection"] = connection
    return made


def draft(connection: Connection, message: str, *, folder: Path = MIGRATIONS) -> None:
    """Write the next revision from what sets `tables.py` apart from a database at the head.

    For developers: read the file that comes of it, and correct it by hand.
    """
    from alembic import command

    command.revision(
        config(connection, folder=folder),
        message,
        autogenerate=True,
        rev_id=f"{int(max(_revisions(folder))) + 1:04}",
    )


def _revisions(folder: Path) -> set[str]:
    return {file.stem.split("_", 1)[0] for file in (folder / "versions").glob("[0-9]*.py")}


async def _revision(connection: AsyncConnection) -> str | None:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    return await connection.scalar(text("SELECT version_num FROM alembic_version"))


async def _is_at_head(connection: AsyncConnection) -> bool:
    revision = await _revision(connection)
    if revision is not None and revision not in _revisions(MIGRATIONS):
        raise ConfigurationError(
            f"The database is at revision {revision}, which this release does not know (it knows "
            f"up to {head_revision()}): a newer release has upgraded it. Install that release."
        )
    return revision == head_revision()


async def _take_lock(connection: AsyncConnection) -> None:
    """Wait until no other process upgrades. The end of the transaction gives the lock back."""
    await connection.execute(text(f"SET LOCAL statement_timeout = '{LOCK_TIMEOUT_S + 5}s'"))
    await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    try:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
    except OperationalError as error:
        if not isinstance(error.orig, errors.LockNotAvailable):
            raise
        raise DatabaseUnavailableError(
            f"Another process has been upgrading the database for {LOCK_TIMEOUT_S} s: "
            "wait until it ends, then try again."
        ) from error


async def _require_pgvector(connection: AsyncConnection) -> None:
    version = await connection.scalar(
        text(
            "SELECT coalesce(installed_version, default_version)"
            " FROM pg_available_extensions WHERE name = 'vector'"
        )
    )
    if version is None:
        raise ConfigurationError(
            "The database server has no pgvector: install it there "
            "(https://github.com/pgvector/pgvector), or use the image pgvector/pgvector."
        )
    if tuple(int(part) for part in str(version).split(".")[:2]) < PGVECTOR_MINIMUM:
        raise ConfigurationError(
            f"The database has pgvector {version}, but 0.7 or newer is needed: "
            "install it on the server, then run ALTER EXTENSION vector UPDATE."
        )


async def _apply(connection: AsyncConnection) -> None:
    from alembic import command

    try:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
    except DBAPIError as error:
        if not isinstance(error.orig, errors.InsufficientPrivilege):
            raise
        reason = str(error.orig).split("\n", 1)[0]
        raise ConfigurationError(
            f"The user of DATABASE_URL may not change the database ({reason}): run "
            "`durable-agents db upgrade` as its owner; for the extension, let an administrator "
            "run CREATE EXTENSION vector first."
        ) from error
