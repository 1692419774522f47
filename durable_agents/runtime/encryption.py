"""Encrypts what histories hold: AES-256-GCM, keys with ids, rotation by order.

`PAYLOAD_KEYS=ID:KEY,OLDER:KEY` names the keys: the first encrypts, all decrypt. A nonce is 96
random bits, so that one key is good for 2**32 values (NIST SP 800-38D, 8.3), after which it has
to be rotated. The key's id and the form are authenticated with the value. The run is not: the Web
UI asks to have a value decoded without saying whose it is, and a history may be replayed
elsewhere.

Without keys the codec leaves everything as it is, and refuses what is encrypted with a sentence
that says what to do: nothing that it raises ends a run, since the server tries workflow tasks
again, and an activity is told to come back later.
"""

import base64
import binascii
import hmac
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from durable_agents.models.errors import ConfigurationError, PayloadKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
KEY_BYTES = 32
COME_BACK_AFTER = timedelta(minutes=1)  # a person has to mend it: that takes longer than a retry

_NONCE_BYTES = 12
_FORM = b"durable-agents payload 1"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class EncryptionCodec(PayloadCodec):
    """Encrypts with the first key, decrypts with any; without keys, it passes on what is plain.

    Args:
        keys: Keys of 32 bytes by their ids.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: _cipher(key) for key_id, key in keys.items()}
        self._first = next(iter(keys), "")

    @property
    def encrypts(self) -> bool:
        """Whether there are keys."""
        return bool(self._first)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt payloads, each with its metadata."""
        return [self._encrypted(p) for p in payloads] if self._first else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt payloads; those that are not encrypted stay as they are.

        Raises:
            PayloadKeyError: The key of one is not here, or is not the one that encrypted it.
        """
        return [
            self._decrypted(p) if p.metadata.get("encoding") == ENCODING else p for p in payloads
        ]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce, key_id = os.urandom(_NONCE_BYTES), self._first.encode()
        sealed = self._ciphers[self._first].encrypt(
            nonce, payload.SerializeToString(), _associated(key_id)
        )
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        key_id = payload.metadata.get(KEY_ID, b"")
        shown = key_id.decode("ascii", "replace")[:32]
        cipher = self._ciphers.get(shown)
        if cipher is None:
            raise _unreadable(f"is encrypted with the key {shown!r}, which is not in PAYLOAD_KEYS")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _associated(key_id)))
        except (_invalid_tag(), ValueError):
            raise _unreadable(
                f"cannot be decrypted with the key {shown!r}: it is another key of the same id, "
                "or the value was changed"
            ) from None


def read_keys(text: str) -> dict[str, bytes]:
    """The keys of PAYLOAD_KEYS, in their order.

    Raises:
        ConfigurationError: They are not usable. What they are is not told.
    """
    keys: dict[str, bytes] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, written = part.partition(":")
        try:
            key = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _ID.fullmatch(key_id) or len(key) != KEY_BYTES or key_id in keys:
            raise ConfigurationError(
                f"PAYLOAD_KEYS is not usable: part {len(keys) + 1} is no ID:KEY with an id of its "
                f"own and {KEY_BYTES} bytes in base64. `durable-agents keys make` makes one."
            )
        keys[key_id] = key
    return keys


def made_key(key_id: str) -> str:
    """A new key in the form of PAYLOAD_KEYS.

    Raises:
        ConfigurationError: The id does not fit.
    """
    if not _ID.fullmatch(key_id):
        raise ConfigurationError(
            f"{key_id!r} is not usable as a key's id: take up to 32 letters, digits and . _ -, "
            "beginning with a letter or a digit."
        )
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def fingerprint_of(key: bytes) -> str:
    """What tells a key from another of the same id, and nothing of the key."""
    return hmac.digest(key, _FORM + b" fingerprint", "sha256").hex()[:32]


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _invalid_tag() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _associated(key_id: bytes) -> bytes:
    return _FORM + b"\0" + key_id


def _unreadable(why: str) -> PayloadKeyError:
    return PayloadKeyError(
        f"A value of this run {why}. Give this process the PAYLOAD_KEYS that the run was started "
        "with (all that were in use since); nothing is lost, the run goes on when they are there.",
        retry_after=COME_BACK_AFTER,
    )
