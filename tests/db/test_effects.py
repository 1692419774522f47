import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.db.engine import Database
from durable_agents.db.tables import Effect, Ticket
from durable_agents.models.base import Record
from durable_agents.models.errors import IdempotencyConflictError

Write = Callable[[AsyncConnection], Awaitable[effects.JSON]]


class BrokenError(Exception):
    """What a write raises that fails on purpose."""


@pytest.fixture
def key() -> str:
    return f"test-{uuid.uuid4()}"


def ticket(key: str, name: str, *, pause_s: float = 0, fails: bool = False) -> Write:
    """A write that others would notice twice: it leaves a row behind."""

    async def write(connection: AsyncConnection) -> effects.JSON:
        row = {"subject": name, "description": "", "priority": "low", "effect_key": key}
        await connection.execute(insert(Ticket).values(row))
        await asyncio.sleep(pause_s)
        if fails:
            raise BrokenError
        return {"name": name}

    return write


async def once(database: Database, key: str, write: Write, request: str = "a") -> effects.JSON:
    return await effects.once(database, key=key, request=request, run_id="run", write=write)


async def close(
    database: Database, key: str, *, pause_s: float = 0, fails: bool = False
) -> int | None:
    """A compensation: what it does besides takes a while, and may fail."""
    async with database.transaction() as connection:
        generation = await effects.close(connection, key=key)
        await asyncio.sleep(pause_s)
        if fails:
            raise BrokenError
    return generation


async def written(database: Database, key: str) -> list[str]:
    async with database.statement() as connection:
        rows = await connection.scalars(
            select(Ticket.subject).where(Ticket.effect_key == key).order_by(Ticket.ticket_id)
        )
        return list(rows)


async def generations(database: Database, key: str) -> list[tuple[int, str, bool]]:
    """Each generation of a key: its number, its result, and whether it is open."""
    async with database.statement() as connection:
        rows = await connection.execute(
            select(Effect.generation, Effect.result, Effect.closed_at)
            .where(Effect.key == key)
            .order_by(Effect.generation)
        )
        return [(row.generation, row.result["name"], row.closed_at is None) for row in rows]


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
        return float("nan")

    with pytest.raises(Exception, match="invalid input syntax for type json"):
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


async def test_of_many_deliveries_at_once_one_writes(database: Database, key: str) -> None:
    results = await asyncio.gather(
        *(once(database, key, ticket(key, f"{n}", pause_s=0.05)) for n in range(12))
    )

    (name,) = await written(database, key)
    assert results == [{"name": name}] * 12


async def test_when_the_first_delivery_fails_the_one_that_waits_writes(
    database: Database, key: str
) -> None:
    first = asyncio.create_task(once(database, key, ticket(key, "1", pause_s=0.2, fails=True)))
    await asyncio.sleep(0.05)
    second = await once(database, key, ticket(key, "2"))

    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], BrokenError)
    assert second == {"name": "2"}
    assert await written(database, key) == ["2"]


async def test_a_claim_waits_for_a_compensation_under_way(database: Database, key: str) -> None:
    await once(database, key, ticket(key, "first"))

    compensation = asyncio.create_task(close(database, key, pause_s=0.2))
    await asyncio.sleep(0.05)
    second = await once(database, key, ticket(key, "second"))

    assert await compensation == 1
    assert second == {"name": "second"}
    assert await generations(database, key) == [(1, "first", False), (2, "second", True)]


async def test_a_compensation_waits_for_a_claim_under_way(database: Database, key: str) -> None:
    claim = asyncio.create_task(once(database, key, ticket(key, "first", pause_s=0.2)))
    await asyncio.sleep(0.05)
    closed = await close(database, key)

    assert await claim == {"name": "first"}
    assert closed == 1
    assert await generations(database, key) == [(1, "first", False)]


async def test_without_the_lock_the_index_still_holds(database: Database, key: str) -> None:
    await once(database, key, ticket(key, "first"))

    row = {"key": key, "generation": 2, "fingerprint": "", "run_id": "run"}
    with pytest.raises(Exception, match="effects_open"):
        async with database.transaction() as connection:
            await connection.execute(insert(Effect).values(row))


Step = tuple[str, int, float, bool]
STEPS = st.tuples(
    st.sampled_from(["once", "once", "once", "close"]),
    st.integers(0, 1),  # which of two keys
    st.sampled_from([0.0, 0.0, 0.001, 0.004]),  # seconds before, and within the transaction
    st.booleans(),  # whether its transaction fails in the end
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, min_size=2, max_size=14))
async def test_whatever_the_order_each_generation_is_written_once(
    database: Database, steps: list[Step]
) -> None:
    keys = [f"test-{uuid.uuid4()}" for _ in range(2)]

    outcomes = await asyncio.gather(
        *(play(database, keys, number, step) for number, step in enumerate(steps))
    )

    for index, key in enumerate(keys):
        kept = await generations(database, key)
        seen = {
            seen for (_, which, _, _), seen in zip(steps, outcomes, strict=True) if which == index
        }
        assert [number for number, _, _ in kept] == list(range(1, len(kept) + 1))
        assert not any(is_open for _, _, is_open in kept[:-1])
        assert await written(database, key) == [name for _, name, _ in kept]
        assert seen - {""} == {name for _, name, _ in kept}


async def play(database: Database, keys: list[str], number: int, step: Step) -> str:
    """Do one step at its time; tells which write a delivery was told of, if it was of any."""
    what, which, pause_s, fails = step
    await asyncio.sleep(pause_s)
    try:
        if what == "once":
            write = ticket(keys[which], str(number), pause_s=pause_s, fails=fails)
            result = await once(database, keys[which], write)
            assert isinstance(result, dict)
            return str(result["name"])
        await close(database, keys[which], pause_s=pause_s, fails=fails)
    except BrokenError:
        pass
    return ""


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.sampled_from(["once a", "once b", "once broken", "close"]), max_size=10))
async def test_one_after_the_other_it_does_what_a_dictionary_would(
    database: Database, steps: list[str]
) -> None:
    key = f"test-{uuid.uuid4()}"
    open_as: str | None = None
    expected = 0

    for step in steps:
        if step == "close":
            assert await close(database, key) == (expected if open_as else None)
            open_as = None
        elif open_as is None and step == "once broken":
            with pytest.raises(BrokenError):
                await once(database, key, ticket(key, step, fails=True), request=step)
        elif open_as is None or open_as == step:
            expected += open_as is None
            open_as = step
            assert await once(database, key, ticket(key, step), request=step) == {"name": step}
        else:
            with pytest.raises(IdempotencyConflictError):
                await once(database, key, ticket(key, step), request=step)

    async with database.statement() as connection:
        count = await connection.scalar(select(func.count()).where(Effect.key == key))
    assert count == expected == len(await written(database, key))


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
