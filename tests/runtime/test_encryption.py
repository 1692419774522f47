"""What the codec encrypts, with which key, and what it refuses."""

import base64

import pytest
from temporalio.api.common.v1 import Payload

from durable_agents.models.errors import ConfigurationError, PayloadKeyError
from durable_agents.runtime.encryption import EncryptionCodec, made_key, read_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"secret": "rosebud"}')


async def test_what_is_encrypted_comes_back_with_its_metadata() -> None:
    codec = EncryptionCodec({"new": NEW})

    (sealed,) = await codec.encode([PLAIN])
    (opened,) = await codec.decode([sealed])

    assert opened == PLAIN
    assert b"rosebud" not in sealed.SerializeToString()
    assert b"json/plain" not in sealed.SerializeToString()


async def test_the_same_value_is_never_encrypted_alike() -> None:
    codec = EncryptionCodec({"new": NEW})

    sealed = await codec.encode([PLAIN] * 50)

    assert len({payload.data for payload in sealed}) == 50


async def test_after_a_rotation_the_first_key_encrypts_and_older_ones_decrypt() -> None:
    (before,) = await EncryptionCodec({"old": OLD}).encode([PLAIN])
    rotated = EncryptionCodec({"new": NEW, "old": OLD})

    (after,) = await rotated.encode([PLAIN])

    assert await rotated.decode([before, after]) == [PLAIN, PLAIN]
    assert after.metadata["encryption-key-id"] == b"new"


async def test_what_was_stored_before_keys_were_set_is_read_as_it_is() -> None:
    assert await EncryptionCodec({"new": NEW}).decode([PLAIN]) == [PLAIN]


async def test_without_keys_nothing_is_encrypted() -> None:
    assert await EncryptionCodec({}).encode([PLAIN]) == [PLAIN]


@pytest.mark.parametrize("keys", [{}, {"old": OLD}], ids=["no keys", "another key"])
async def test_a_key_that_is_gone_is_named(keys: dict[str, bytes]) -> None:
    (sealed,) = await EncryptionCodec({"new": NEW}).encode([PLAIN])

    with pytest.raises(PayloadKeyError, match=r"'new', which is not in PAYLOAD_KEYS"):
        await EncryptionCodec(keys).decode([sealed])


@pytest.mark.parametrize("place", [0, 12, -1])
async def test_a_value_that_was_changed_is_refused(place: int) -> None:
    codec = EncryptionCodec({"new": NEW})
    (sealed,) = await codec.encode([PLAIN])
    data = bytearray(sealed.data)
    data[place] ^= 1
    sealed.data = bytes(data)

    with pytest.raises(PayloadKeyError, match="was changed"):
        await codec.decode([sealed])


async def test_a_value_under_the_id_of_another_key_is_refused() -> None:
    codec = EncryptionCodec({"new": NEW, "copy": NEW})
    (sealed,) = await codec.encode([PLAIN])
    sealed.metadata["encryption-key-id"] = b"copy"

    with pytest.raises(PayloadKeyError, match="was changed"):
        await codec.decode([sealed])


def test_keys_are_read_in_their_order() -> None:
    written = f"new:{base64.b64encode(NEW).decode()}, old:{base64.b64encode(OLD).decode()}"

    assert list(read_keys(written).items()) == [("new", NEW), ("old", OLD)]
    assert read_keys("") == {}


def test_a_made_key_can_be_read() -> None:
    assert [len(key) for key in read_keys(made_key("k1")).values()] == [32]


@pytest.mark.parametrize(
    "written",
    [
        base64.b64encode(NEW).decode(),
        f"new:{base64.b64encode(NEW[:16]).decode()}",
        "new:not base64",
        f":{base64.b64encode(NEW).decode()}",
        f"{made_key('a')},{made_key('a')}",
    ],
    ids=["no id", "too short", "no base64", "empty id", "twice"],
)
def test_keys_that_are_not_usable_are_refused_and_not_shown(written: str) -> None:
    with pytest.raises(ConfigurationError, match="PAYLOAD_KEYS is not usable") as refused:
        read_keys(written)

    assert base64.b64encode(NEW).decode()[:10] not in refused.value.message
