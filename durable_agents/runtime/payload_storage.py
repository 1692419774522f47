"""What the SDK calls external storage: payloads over a threshold lie outside of the history.

The SDK marks it as experimental, so that this is the one module that knows it. History keeps a
reference with the SHA-256 of what is stored, which is encrypted where there are keys. Where the
store cannot be reached, everything under the threshold goes on as ever; a workflow task that
needs the store is tried again by the server, an activity by its retry policy.

A saved history can carry what it refers to: an entry `payloads` beside its `events`.
"""

import base64
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from durable_agents.clients.payload_store import (
    COME_BACK_AFTER,
    Blobs,
    PayloadStore,
    lost,
    refuse_too_large,
)
from durable_agents.models.errors import ConfigurationError, InputError, PayloadLostError
from durable_agents.runtime.payload_blobs import Elsewhere, LateTable
from durable_agents.runtime.settings import Settings

if TYPE_CHECKING:
    from durable_agents.db.engine import Database

POSTGRESQL, S3 = "postgresql", "s3"
SAVED = "payloads"
"""Where a saved history carries what it refers to: base64 by SHA-256."""

_MESSAGE_TYPE = ExternalStorageReference.DESCRIPTOR.full_name.encode()
_ADDRESS = {POSTGRESQL: "sha256", S3: "hash_value"}  # what a claim calls its hash


class StoredPayloads(StorageDriver):
    """Payloads in a store of ours.

    Args:
        store: Where they are kept.
        name: What references call it.
    """

    def __init__(self, store: PayloadStore, name: str = POSTGRESQL) -> None:
        self._store = store
        self._name = name

    def name(self) -> str:
        """What references call it."""
        return self._name

    def type(self) -> str:
        """What kind of driver it is."""
        return "durable-agents.postgresql"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Keep payloads."""
        addresses = await self._store.keep(
            [p.SerializeToString(deterministic=True) for p in payloads]
        )
        return [StorageDriverClaim({_ADDRESS[self._name]: address}) for address in addresses]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Read payloads.

        Raises:
            PayloadLostError: One is not there, or damaged.
        """
        hashes = [claim.claim_data.get(_ADDRESS[self._name], "") for claim in claims]
        return [Payload.FromString(part) for part in await self._store.read(hashes)]


class _SavedPayloads(StorageDriver):
    """Payloads that a saved history carries, whichever store they were in."""

    def __init__(self, name: str, saved: Mapping[str, bytes]) -> None:
        self._name = name
        self._saved = saved

    def name(self) -> str:
        return self._name

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        raise NotImplementedError("a replay stores nothing")

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        return [self._saved_at(claim.claim_data.get(_ADDRESS[self._name], "")) for claim in claims]

    def _saved_at(self, address: str) -> Payload:
        if address not in self._saved:
            raise lost(address, "was not saved together with this history")
        try:
            return Payload.FromString(self._saved[address])
        except DecodeError as error:
            raise lost(address, "is damaged in this file") from error


def storage_of(settings: Settings, database: "Database | None" = None) -> ExternalStorage:
    """The store that is configured; what another one holds is read as far as that is known, too.

    Args:
        settings: Which, and from which size on.
        database: The open database, where a process has one.

    Raises:
        ConfigurationError: S3 is chosen and cannot be used.
    """
    where = database or settings.database_url.get_secret_value()
    table: Blobs = Elsewhere("lies in PostgreSQL, and this process has no DATABASE_URL")
    if where:
        table = LateTable(where, settings.temporal_namespace)
    drivers: dict[str, StorageDriver] = {POSTGRESQL: StoredPayloads(PayloadStore(table))}
    if settings.payload_store_bucket:
        drivers[S3] = _s3_driver(settings)
    elif settings.payload_store == S3:
        raise ConfigurationError(
            "PAYLOAD_STORE is s3, but nothing says which bucket: set PAYLOAD_STORE_BUCKET."
        )
    else:
        away = Elsewhere("lies in S3, and this process has no PAYLOAD_STORE_BUCKET")
        drivers[S3] = StoredPayloads(PayloadStore(away), S3)
    chosen = drivers[settings.payload_store] if where or settings.payload_store == S3 else None
    return ExternalStorage(
        drivers=list(drivers.values()),
        driver_selector=lambda _context, _payload: chosen,
        payload_size_threshold=settings.payload_store_threshold,
    )


def saved_storage(saved: Mapping[str, bytes]) -> ExternalStorage:
    """A store for replay, of what a saved history carries: see `payloads_of`."""
    drivers = [_SavedPayloads(name, saved) for name in (POSTGRESQL, S3)]
    return ExternalStorage(drivers=drivers, driver_selector=lambda _context, _payload: None)


class _NamedFailures(StorageDriver):
    """The SDK's driver for S3, whose failures come under our names.

    Its own would be told as they come, with hashes of what the reader may not know, and be tried
    again at once.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def name(self) -> str:
        return self._driver.name()

    def type(self) -> str:
        return self._driver.type()

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        refuse_too_large(payload.ByteSize() for payload in payloads)
        with _named_failures():
            return await self._driver.store(context, payloads)

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        with _named_failures():
            try:
                return await self._driver.retrieve(context, claims)
            except (ValueError, KeyError) as error:  # what comes is not what the claim says
                addresses = sorted(claim.claim_data.get(_ADDRESS[S3], "") for claim in claims)
                raise lost(", ".join(addresses), "is damaged in the payload store") from error


@contextmanager
def _named_failures() -> Generator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # what the driver raises, with boto's as the cause
        reason = f"{error} {error.__cause__ or ''}".strip()
        raise PayloadLostError(
            f"A large value cannot be kept in S3 or read from it ({reason}). What waits for it "
            "goes on when that is mended.",
            retry_after=COME_BACK_AFTER,
        ) from error


def _s3_driver(settings: Settings) -> StorageDriver:
    """The SDK's own driver; what it touches is in `s3_client`.

    Raises:
        ConfigurationError: The extra `s3` is not installed.
    """
    try:
        from temporalio.contrib.aws.s3driver import S3StorageDriver

        from durable_agents.runtime.s3_client import LazyS3Client
    except ImportError as error:
        raise ConfigurationError(
            "PAYLOAD_STORE_BUCKET is set, but the library for S3 is not installed: run "
            "`pip install 'durable-agents[s3]'`, or unset it."
        ) from error
    client = LazyS3Client(settings.payload_store_endpoint)
    driver = S3StorageDriver(client, settings.payload_store_bucket, driver_name=S3)
    return _NamedFailures(driver)


async def resolved(converter: DataConverter, payloads: Sequence[Payload]) -> list[Payload]:
    """Payloads with what lies in the store in the place of references to it.

    Raises:
        PayloadLostError: Something is not there, or damaged.
    """
    storage = converter.external_storage
    drivers = {driver.name(): driver for driver in storage.drivers} if storage else {}
    found: list[Payload] = []
    for payload in payloads:
        reference = reference_in(payload)
        if reference is None or not drivers:
            found.append(payload)
            continue
        claim = StorageDriverClaim(dict(reference.claim_data))
        driver = drivers[reference.driver_name]
        found += await driver.retrieve(StorageDriverRetrieveContext(), [claim])
    return found


def reference_in(payload: Payload) -> ExternalStorageReference | None:
    """What a payload refers to; None when it is not a reference to a store of ours."""
    metadata = payload.metadata
    if metadata.get("encoding") != b"json/protobuf" or metadata.get("messageType") != _MESSAGE_TYPE:
        return None
    told = ExternalStorageReference()
    try:
        json_format.Parse(payload.data, told, ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError):
        return None
    return told if told.driver_name in _ADDRESS else None


async def with_payloads(converter: DataConverter, history: str) -> str:
    """A history as JSON together with what it refers to, as it is stored (encrypted, too).

    Args:
        converter: Whose store is read: `client.data_converter`.
        history: What `WorkflowHistory.to_json` gives.

    Raises:
        PayloadLostError: Something that it refers to is not there any more, or damaged.
    """
    told: dict[str, Any] = json.loads(history)
    saved: dict[str, str] = {}
    for payload in _payloads_in(told):
        reference = reference_in(payload)
        if reference is not None:
            (found,) = await resolved(converter, [payload])
            address = reference.claim_data[_ADDRESS[reference.driver_name]]
            saved[address] = base64.b64encode(found.SerializeToString()).decode()
    return json.dumps({**told, SAVED: saved}, indent=2) if saved else history


def payloads_of(history: str) -> dict[str, bytes]:
    """What a saved history carries, for `saved_storage`; nothing where it refers to nothing.

    Raises:
        InputError: It was not saved by `with_payloads`.
    """
    carried: Any = json.loads(history).get(SAVED, {})
    try:
        return {address: base64.b64decode(part, validate=True) for address, part in carried.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            "The `payloads` of this history are not as `history export` writes them: export again."
        ) from error


def _payloads_in(value: Any) -> Iterator[Payload]:
    """All payloads of a history as JSON."""
    if isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _payloads_in(item)
    elif isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if isinstance(fields.get("metadata"), dict) and isinstance(fields.get("data", ""), str):
            yield json_format.ParseDict(fields, Payload(), ignore_unknown_fields=True)
            return
        for item in fields.values():
            yield from _payloads_in(item)
