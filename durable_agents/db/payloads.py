"""Payloads that are too large for a history: kept, read, and collected when nobody needs them."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import case, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.engine import Database
from durable_agents.db.payload_tables import StoredPayload
from durable_agents.db.tables import NOW

USE_NOTED_EVERY = timedelta(hours=1)
# Rows: a statement has to end within the time that it gets, and a value of 32 MiB lies in 17,000
# pieces, each of which is deleted.
COLLECTED_AT_ONCE = 20


class PayloadTable:
    """The payloads of a namespace.

    Args:
        database: Where they are: an open one, or its address. A command that may never meet a
            large payload gives the address: a connection is then opened for each use alone.
        namespace: Whose.
    """

    def __init__(self, database: Database | str, namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep bytes by their addresses; what is there is noted as used, and mended if damaged.

        Raises:
            DatabaseUnavailableError: The database does not answer.
        """
        async with self._connection() as connection:
            for address, content in blobs.items():
                await _put(connection, self._namespace, address, content)

    async def get(self, addresses: Collection[str]) -> dict[str, bytes]:
        """The bytes at these addresses, of those that are there; they are noted as used.

        Raises:
            DatabaseUnavailableError: The database does not answer.
        """
        async with self._connection() as connection:
            wanted = (
                StoredPayload.namespace == self._namespace,
                StoredPayload.address.in_(addresses),
            )
            query = select(StoredPayload.address, StoredPayload.content).where(*wanted)
            rows = (await connection.execute(query)).all()
            found = {row.address: row.content for row in rows}
            long_ago = StoredPayload.last_used < NOW - USE_NOTED_EVERY
            touch = update(StoredPayload).where(*wanted, long_ago).values(last_used=NOW)
            await connection.execute(touch)
        return found

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[AsyncConnection]:
        if isinstance(self._database, Database):
            async with self._database.statement() as connection:
                yield connection
            return
        opened = Database(self._database, pool_size=1)
        try:
            async with opened.statement() as connection:
                yield connection
        finally:
            await opened.close()


async def _put(connection: AsyncConnection, namespace: str, address: str, content: bytes) -> None:
    statement = insert(StoredPayload).values(
        namespace=namespace, address=address, content=content, size=len(content)
    )
    same = StoredPayload.content == statement.excluded.content
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["namespace", "address"],
            set_={
                "last_used": NOW,
                "content": case((same, StoredPayload.content), else_=statement.excluded.content),
            },
        )
    )


async def collect(connection: AsyncConnection, namespace: str, older_than: datetime) -> int:
    """Delete payloads of a namespace that were last used before a moment; tells how many.

    The moment must lie before the start of every run whose history the server still keeps:
    `workers.payload_collector.needed_since` knows it. The connection is one of
    `Database.statement()`: each statement is a transaction of its own.
    """
    deleted = 0
    unused = (StoredPayload.namespace == namespace, StoredPayload.last_used < older_than)
    key = tuple_(StoredPayload.namespace, StoredPayload.address)
    while True:
        some = select(StoredPayload.namespace, StoredPayload.address).where(*unused)
        # The condition twice: one that is used again meanwhile is looked at again, and stays.
        statement = delete(StoredPayload).where(key.in_(some.limit(COLLECTED_AT_ONCE)), *unused)
        count = (await connection.execute(statement)).rowcount
        deleted += count
        if count < COLLECTED_AT_ONCE:
            return deleted
