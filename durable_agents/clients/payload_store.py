"""The store for payloads that are too large for a history: bytes under their own hash.

It touches no outside system itself: where the bytes lie is passed in. Whatever comes back is
checked against its address, so that damage is noticed here and not as a riddle in a workflow.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from durable_agents.models.errors import PayloadLostError, PayloadTooLargeError

MOST_BYTES = 32 * 1024 * 1024
COME_BACK_AFTER = timedelta(minutes=1)  # a person has to mend it: that takes longer than a retry


class Blobs(Protocol):
    """Where the bytes lie."""

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep bytes by their addresses; harmless when they are there."""
        ...

    async def get(self, addresses: Collection[str]) -> Mapping[str, bytes]:
        """The bytes at these addresses, of those that are there."""
        ...


class PayloadStore:
    """Keeps bytes under the SHA-256 of what is kept.

    Args:
        blobs: Where they lie.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def keep(self, parts: Sequence[bytes]) -> list[str]:
        """Keep parts; gives the address of each.

        Raises:
            PayloadTooLargeError: One is larger than what a store takes.
        """
        refuse_too_large(len(part) for part in parts)
        addresses = [address_of(part) for part in parts]
        await self._blobs.put(dict(zip(addresses, parts, strict=True)))
        return addresses

    async def read(self, addresses: Sequence[str]) -> list[bytes]:
        """The parts at some addresses, in their order.

        Raises:
            PayloadLostError: One is not there, or is not what was kept.
        """
        found = await self._blobs.get(set(addresses))
        return [_whole(address, found.get(address)) for address in addresses]


def refuse_too_large(sizes: Iterable[int]) -> None:
    """Refuse a size, in bytes, that no store takes.

    Raises:
        PayloadTooLargeError: There is one.
    """
    for size in sizes:
        if size > MOST_BYTES:
            raise PayloadTooLargeError(
                f"A value of {size / 2**20:.1f} MiB is more than the payload store takes "
                f"({MOST_BYTES // 2**20} MiB): pass it by reference, as documents are."
            )


def address_of(part: bytes) -> str:
    """Where a part lies."""
    return hashlib.sha256(part).hexdigest()


def _whole(address: str, part: bytes | None) -> bytes:
    if part is None:
        raise lost(address, "is not in the payload store")
    if address_of(part) != address:
        raise lost(address, "is damaged in the payload store")
    return part


def lost(address: str, why: str) -> PayloadLostError:
    """The error about a blob that cannot be had."""
    return PayloadLostError(
        f"The payload {address[:16]} {why}: restore the store from a backup (or check that "
        "DATABASE_URL and PAYLOAD_STORE lead to the one that the run was started with); "
        "the run then goes on by itself.",
        retry_after=COME_BACK_AFTER,
    )
