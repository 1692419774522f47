"""The table of the payload store."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from durable_agents.clients.payload_store import MOST_BYTES, PayloadStore, address_of
from durable_agents.db import payloads
from durable_agents.db.engine import Database
from durable_agents.db.payloads import PayloadTable
from durable_agents.models.errors import PayloadLostError, PayloadTooLargeError
from tests.workflows.runs import token


@pytest.fixture
def namespace() -> str:
    return f"payloads-{token()}"


@pytest.fixture
def store(database: Database, namespace: str) -> PayloadStore:
    return PayloadStore(PayloadTable(database, namespace))


async def change(database: Database, namespace: str, to: str) -> None:
    async with database.statement() as connection:
        statement = text(f"UPDATE payloads SET {to} WHERE namespace = :namespace")  # noqa: S608
        await connection.execute(statement, {"namespace": namespace})


async def test_what_is_kept_is_read_again(store: PayloadStore) -> None:
    first, second = await store.keep([b"\x00one", b"two"])

    assert await store.read([second, first, second]) == [b"two", b"\x00one", b"two"]
    assert first == address_of(b"\x00one")


async def test_a_command_without_an_open_database_reads_it_too(
    store: PayloadStore, database_url: str, namespace: str
) -> None:
    addresses = await store.keep([b"one"])

    assert await PayloadStore(PayloadTable(database_url, namespace)).read(addresses) == [b"one"]


async def test_what_is_not_there_is_named(store: PayloadStore) -> None:
    with pytest.raises(PayloadLostError, match=f"{address_of(b'no')[:16]} is not in"):
        await store.read([address_of(b"no")])


async def test_another_namespace_has_its_own(store: PayloadStore, database: Database) -> None:
    addresses = await store.keep([b"one"])

    with pytest.raises(PayloadLostError, match="is not in the payload store"):
        await PayloadStore(PayloadTable(database, "another")).read(addresses)


async def test_damage_is_noticed_and_mended_when_the_value_is_kept_again(
    store: PayloadStore, database: Database, namespace: str
) -> None:
    addresses = await store.keep([b"one"])
    await change(database, namespace, "content = 'onx'")

    with pytest.raises(PayloadLostError, match="is damaged"):
        await store.read(addresses)
    await store.keep([b"one"])

    assert await store.read(addresses) == [b"one"]


async def test_more_than_a_store_takes_is_refused_for_good(store: PayloadStore) -> None:
    with pytest.raises(PayloadTooLargeError, match=r"more than the payload store takes \(32 MiB\)"):
        await store.keep([bytes(MOST_BYTES + 1)])


async def test_only_what_was_last_used_before_the_moment_is_collected(
    store: PayloadStore, database: Database, namespace: str
) -> None:
    old, used = await store.keep([b"old", b"used again"])
    await change(database, namespace, "last_used = now() - interval '40 days'")
    await store.read([used])

    async with database.statement() as connection:
        count = await payloads.collect(
            connection, namespace, datetime.now(UTC) - timedelta(days=31)
        )

    assert count == 1
    assert await store.read([used]) == [b"used again"]
    with pytest.raises(PayloadLostError):
        await store.read([old])


async def test_keeping_a_value_again_counts_as_use(
    store: PayloadStore, database: Database, namespace: str
) -> None:
    addresses = await store.keep([b"old"])
    await change(database, namespace, "last_used = now() - interval '40 days'")
    await store.keep([b"old"])

    async with database.statement() as connection:
        await payloads.collect(connection, namespace, datetime.now(UTC) - timedelta(days=31))

    assert await store.read(addresses) == [b"old"]
