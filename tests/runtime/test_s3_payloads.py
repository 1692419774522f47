"""Large values in S3, by the SDK's own driver and boto, over HTTP."""

import asyncio
import gc
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from pydantic import SecretStr
from temporalio.contrib.aws.s3driver import S3StorageDriverClient
from temporalio.converter import DataConverter

from durable_agents.models.errors import ConfigurationError, PayloadLostError
from durable_agents.runtime import s3_client
from durable_agents.runtime.connection import converter_of
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.payload_storage import reference_in
from durable_agents.runtime.s3_client import clients
from durable_agents.runtime.settings import Settings
from tests.runtime.s3_service import S3Service, s3_service

LARGE = "rosebud" * 30_000


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Service]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of the tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    opened: list[AsyncGenerator[S3StorageDriverClient]] = []

    def kept(endpoint: str) -> AsyncGenerator[S3StorageDriverClient]:
        opened.append(clients(endpoint))
        return opened[-1]

    monkeypatch.setattr(s3_client, "clients", kept)
    async with s3_service() as running:
        yield running
        for one in opened:  # this event loop goes on, and would leave that to chance
            await one.aclose()


@pytest.fixture
def plain(service: S3Service, settings: Settings) -> Settings:
    """Settings with the bucket and without keys."""
    return settings.model_copy(
        update={
            "payload_store": "s3",
            "payload_store_bucket": "parcels",
            "payload_store_endpoint": service.url,
        }
    )


@pytest.fixture
def converter(plain: Settings) -> DataConverter:
    return converter_of(plain.model_copy(update={"payload_keys": SecretStr(made_key("k1"))}))


async def test_large_values_go_to_the_bucket_encrypted_and_come_back(
    converter: DataConverter, service: S3Service
) -> None:
    payloads = await converter.encode([LARGE, "small"])
    read = await converter.decode(payloads)

    assert read == [LARGE, "small"]
    assert [bool(reference_in(payload)) for payload in payloads] == [True, False]
    ((path, content),) = service.objects.items()
    assert path.startswith("/parcels/")
    assert b"rosebud" not in content


async def test_what_lies_in_postgresql_is_still_read(
    converter: DataConverter, settings: Settings
) -> None:
    before = await converter_of(settings).encode([LARGE])

    assert await converter.decode(before) == [LARGE]


async def test_a_damaged_object_is_named_and_waits_for_its_repair(
    converter: DataConverter, service: S3Service
) -> None:
    payloads = await converter.encode([LARGE])
    (path,) = service.objects
    service.objects[path] += b"damage"

    with pytest.raises(PayloadLostError, match="is damaged in the payload store"):
        await converter.decode(payloads)


async def test_a_damaged_object_is_mended_when_the_value_is_kept_again(
    plain: Settings, service: S3Service
) -> None:
    converter = converter_of(plain)
    payloads = await converter.encode([LARGE])
    (path,) = service.objects
    service.objects[path] += b"damage"

    await converter.encode([LARGE])

    assert await converter.decode(payloads) == [LARGE]


async def test_what_a_reference_to_another_object_is_refused_with_does_not_tell_its_hash(
    converter: DataConverter, service: S3Service
) -> None:
    payloads = await converter.encode([LARGE])
    (path,) = service.objects
    service.objects[path] = b"of somebody else"

    with pytest.raises(PayloadLostError) as refused:
        await converter.decode(payloads)

    assert hashlib.sha256(b"of somebody else").hexdigest()[:16] not in refused.value.message


async def test_an_object_is_as_old_as_the_last_time_that_its_value_was_kept(
    plain: Settings, service: S3Service
) -> None:
    converter = converter_of(plain)

    for _ in range(2):
        await converter.encode([LARGE])

    assert list(service.writes.values()) == [2]


async def test_a_process_that_ends_leaves_no_connection_open(
    plain: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async def command() -> None:
        await converter_of(plain).encode([LARGE])

    await asyncio.to_thread(lambda: asyncio.run(command()))
    gc.collect()

    assert [told for told in caplog.messages if "Unclosed" in told] == []


async def test_what_is_in_a_bucket_is_refused_by_name_where_no_bucket_is_set(
    converter: DataConverter, settings: Settings
) -> None:
    payloads = await converter.encode([LARGE])

    with pytest.raises(PayloadLostError, match="this process has no PAYLOAD_STORE_BUCKET"):
        await converter_of(settings).decode(payloads)


async def test_s3_without_a_bucket_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="set PAYLOAD_STORE_BUCKET"):
        converter_of(settings.model_copy(update={"payload_store": "s3"}))
