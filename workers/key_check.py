"""Keeps workers from running that could not read what the others encrypt.

A workflow task waits for its key however long that takes. An activity is tried as often as its
policy allows, and some are tried a few times only: a worker without the key would use those up.
What fails for want of a key is tried again after a minute; a worker that lacks one ends sooner.
"""

import asyncio
import logging
from collections.abc import Mapping

from durable_agents.db import payload_keys
from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError, DurableAgentsError
from durable_agents.runtime.encryption import fingerprint_of

EVERY_S = 20

logger = logging.getLogger(__name__)


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
        _check_all(keys, await payload_keys.used_keys(connection, namespace))
        for key_id in list(keys)[:1]:
            fingerprint = fingerprint_of(keys[key_id])
            await payload_keys.note_key(connection, namespace, key_id, fingerprint)
        # Once more: another worker may have noted its own at the same moment.
        _check_all(keys, await payload_keys.used_keys(connection, namespace))


async def until_keys_lack(
    database: Database, namespace: str, keys: Mapping[str, bytes], *, every_s: float = EVERY_S
) -> ConfigurationError:
    """Wait until others encrypt with a key that is not here; gives what is to be said of it.

    So it is where a new key is put first before all processes have it.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            await check_keys(database, namespace, keys)
        except ConfigurationError as error:
            return error
        except DurableAgentsError as error:
            logger.warning("The keys in use could not be looked up: %s", error.message)


def _check_all(keys: Mapping[str, bytes], used: Mapping[str, str]) -> None:
    for key_id, fingerprint in used.items():
        _check(keys, key_id, fingerprint)


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
