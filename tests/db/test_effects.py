import asyncio
import uuid
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.db.engine import Database
from durable_agents.models.base import Record
from durable_agents.models.errors import IdempotencyConflictError
from tests.db.effect_steps import BrokenError, close, generations, once, ticket, written


@pytest.fixture
def key() -> str:
    return f"test-{uuid.uuid4()}"


async def test_a_repeat_gets_the_stored_result_and_writes_nothing(
    database: Database, key: str
) -> None:
    first = await once(database, key, ticket(key, "first"))
    second = await once(database, key, ticket(key, "second"))

    assert first == second == {"name": "first"}
    assert await written(database, key) == ["first"]


@pytest.mark.parametrize("result", [None, [], 0, "text", 1.5, {"a": [None, {"b": True}]}])
async def test_any_json_is_remembered(database: Database, key: str, result: effects.JSON) -> None:
    async def write(_: AsyncConnection) -> effects.JSON:
        return result

    first = await once(database, key, write)

    assert first == result
    assert await once(database, key, write) == result


async def test_the_same_key_with_another_request_is_a_conflict(
    database: Database, key: str
) -> None:
    await once(database, key, ticket(key, "first"), request="a")

    with pytest.raises(IdempotencyConflictError, match="used before for another request"):
        await once(database, key, ticket(key, "second"), request="b")

    assert await written(database, key) == ["first"]


async def test_a_write_that_raises_leaves_nothing(database: Database, key: str) -> None:
    with pytest.raises(BrokenError):
        await once(database, key, ticket(key, "first", fails=True))

    assert await written(database, key) == []
    assert await generations(database, key) == []
    assert await once(database, key, ticket(key, "second"), request="b") == {"name": "second"}


async def test_a_write_that_is_cancelled_leaves_nothing(database: Database, key: str) -> None:
    task = asyncio.create_task(once(database, key, ticket(key, "first", pause_s=10)))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert await once(database, key, ticket(key, "second")) == {"name": "second"}
    assert await written(database, key) == ["second"]


async def test_a_result_that_is_not_json_leaves_nothing(database: Database, key: str) -> None:
    async def write(connection: AsyncConnection) -> effects.JSON:
        await ticket(key, "first")(connection)
        return cast(effects.JSON, {1, 2})

    with pytest.raises(Exception, match="not JSON serializable"):
        await once(database, key, write)

    assert await written(database, key) == []


async def test_a_closed_key_opens_a_new_generation(database: Database, key: str) -> None:
    await once(database, key, ticket(key, "first"))
    closed = await close(database, key)
    again = await once(database, key, ticket(key, "second"), request="b")

    assert closed == 1
    assert again == {"name": "second"}
    assert await generations(database, key) == [(1, "first", False), (2, "second", True)]


async def test_closing_twice_or_for_nothing_is_harmless(database: Database, key: str) -> None:
    never_claimed = await close(database, key)
    await once(database, key, ticket(key, "first"))
    closed = [await close(database, key), await close(database, key)]

    assert never_claimed is None
    assert closed == [1, None]
    assert await generations(database, key) == [(1, "first", False)]


async def test_a_compensation_that_fails_leaves_the_key_open(database: Database, key: str) -> None:
    await once(database, key, ticket(key, "first"))

    with pytest.raises(BrokenError):
        await close(database, key, fails=True)

    assert await once(database, key, ticket(key, "second")) == {"name": "first"}


async def test_a_compensation_can_be_an_effect_itself(database: Database, key: str) -> None:
    async def refund(connection: AsyncConnection) -> effects.JSON:
        return {"closed": await effects.close(connection, key=key)}

    await once(database, key, ticket(key, "charge"))
    refunds = [await once(database, f"refund-{key}", refund) for _ in range(2)]

    assert refunds == [{"closed": 1}, {"closed": 1}]
    assert await generations(database, key) == [(1, "charge", False)]


class Before(Record):
    subject: str
    priority: str = "low"


class After(Before):
    account: str | None = None


def test_a_fingerprint_does_not_depend_on_the_order_of_fields() -> None:
    assert effects.fingerprint({"a": 1, "b": [2]}) == effects.fingerprint({"b": [2], "a": 1})


def test_a_fingerprint_tells_requests_apart() -> None:
    requests: list[effects.JSON] = [None, "", "1", 1, 1.5, [], [1], {}, {"a": 1}, {"a": "1"}, True]

    assert len({effects.fingerprint(request) for request in requests}) == len(requests)


def test_a_release_that_adds_a_field_knows_the_fingerprint_of_the_one_before() -> None:
    before = effects.fingerprint(Before(subject="s", priority="high"))

    assert effects.fingerprint(After(subject="s", priority="high")) == before
    assert effects.fingerprint(After(subject="s", priority="high", account="A")) != before


def test_a_fingerprint_is_the_hexadecimal_of_sha_256() -> None:
    assert effects.fingerprint({}) == (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
