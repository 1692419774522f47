"""Where blobs lie as far as a process knows: in the table of payloads, or out of its reach."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from durable_agents.clients.payload_store import Blobs, lost

if TYPE_CHECKING:
    from durable_agents.db.engine import Database


class LateTable:
    """The table of payloads, loaded at its first use: most commands meet no large value.

    Args:
        database: Where it is, as `PayloadTable` takes it.
        namespace: Whose payloads.
    """

    def __init__(self, database: "Database | str", namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep bytes by their addresses."""
        await self._table().put(blobs)

    async def get(self, addresses: Collection[str]) -> Mapping[str, bytes]:
        """The bytes at these addresses, of those that are there."""
        return await self._table().get(addresses)

    def _table(self) -> Blobs:
        from durable_agents.db.payloads import PayloadTable

        return PayloadTable(self._database, self._namespace)


class Elsewhere:
    """The blobs of a store that this process knows nothing of.

    Args:
        why: What the error says of a blob.
    """

    def __init__(self, why: str) -> None:
        self._why = why

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep nothing.

        Raises:
            PayloadLostError: Always.
        """
        raise lost(next(iter(blobs)), self._why)

    async def get(self, addresses: Collection[str]) -> Mapping[str, bytes]:
        """Read nothing.

        Raises:
            PayloadLostError: Always.
        """
        raise lost(min(addresses), self._why)
