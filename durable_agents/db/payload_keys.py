"""Which keys workers have encrypted payloads with; their ids and fingerprints, never the keys."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.payload_tables import UsedKey
from durable_agents.models.errors import NotFoundError


async def note_key(
    connection: AsyncConnection, namespace: str, key_id: str, fingerprint: str
) -> None:
    """Note that a key encrypts from now on; harmless when it is noted."""
    values = {"namespace": namespace, "key_id": key_id, "fingerprint": fingerprint}
    await connection.execute(insert(UsedKey).values(**values).on_conflict_do_nothing())


async def used_keys(connection: AsyncConnection, namespace: str) -> dict[str, str]:
    """The fingerprints of the keys that were in use, by their ids, the oldest first."""
    query = (
        select(UsedKey.key_id, UsedKey.fingerprint)
        .where(UsedKey.namespace == namespace)
        .order_by(UsedKey.first_used, UsedKey.key_id)
    )
    rows = (await connection.execute(query)).all()
    return {row.key_id: row.fingerprint for row in rows}


async def forget_key(connection: AsyncConnection, namespace: str, key_id: str) -> None:
    """Forget that a key was in use.

    Raises:
        NotFoundError: It was not.
    """
    statement = delete(UsedKey).where(UsedKey.namespace == namespace, UsedKey.key_id == key_id)
    if not (await connection.execute(statement)).rowcount:
        raise NotFoundError(f"No worker of the namespace {namespace} has used a key {key_id!r}.")
