"""Large values in S3, by the SDK's own driver and boto, over HTTP."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from temporalio.converter import DataConverter

from durable_agents.models.errors import ConfigurationError, PayloadLostError
from durable_agents.runtime.connection import converter_of
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.payload_storage import close_storage, reference_in
from durable_agents.runtime.settings import Settings
from tests.runtime.s3_service import S3Service, s3_service

LARGE = "rosebud" * 30_000


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Service]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of the tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    async with s3_service() as running:
        yield running


@pytest.fixture
async def converter(service: S3Service, settings: Settings) -> AsyncIterator[DataConverter]:
    made = converter_of(
        settings.model_copy(
            update={
                "payload_store": "s3",
                "payload_store_bucket": "parcels",
                "payload_store_endpoint": service.url,
                "payload_keys": SecretStr(made_key("k1")),
            }
        )
    )
    yield made
    await close_storage(made)


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

    with pytest.raises(PayloadLostError, match="integrity check failed"):
        await converter.decode(payloads)


async def test_what_is_in_a_bucket_is_refused_by_name_where_no_bucket_is_set(
    converter: DataConverter, settings: Settings
) -> None:
    payloads = await converter.encode([LARGE])

    with pytest.raises(PayloadLostError, match="this process has no PAYLOAD_STORE_BUCKET"):
        await converter_of(settings).decode(payloads)


async def test_s3_without_a_bucket_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="set PAYLOAD_STORE_BUCKET"):
        converter_of(settings.model_copy(update={"payload_store": "s3"}))
