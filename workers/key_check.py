"""Keeps workers from starting that could not read what the others encrypt.

A workflow task waits for its key however long that takes. An activity is tried as often as its
policy allows, and some are tried a few times only: a worker without the key would use those up.
"""

from collections.abc import Mapping

from durable_agents.db import payload_keys
from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.encryption import fingerprint_of


async def check_keys(database: Database, namespace: str, keys: Mapping[str, bytes]) -> None:
    """See that all keys are here that were in use, and note the one that encrypts.

    Args:
        database: Where the keys in use are noted.
        namespace: Whose workers these are.
        keys: The keys of this process, the one that encrypts first.

    Raises:
        ConfigurationError: One is not here, or another one has its id.
    """
    async with database.statement() as connection:
        used = await payload_keys.used_keys(connection, namespace)
        for key_id, fingerprint in used.items():
            _check(keys, key_id, fingerprint)
        for key_id in list(keys)[:1]:
            fingerprint = fingerprint_of(keys[key_id])
            await payload_keys.note_key(connection, namespace, key_id, fingerprint)


def _check(keys: Mapping[str, bytes], key_id: str, fingerprint: str) -> None:
    if key_id not in keys:
        raise ConfigurationError(
            f"Runs are encrypted with the key {key_id!r}, which is not in PAYLOAD_KEYS: add it. "
            f"If no history needs it any more: `durable-agents keys forget {key_id}`."
        )
    if fingerprint_of(keys[key_id]) != fingerprint:
        raise ConfigurationError(
            f"The key {key_id!r} in PAYLOAD_KEYS is another one than runs were encrypted with: "
            "correct it, or give the new key an id of its own."
        )
