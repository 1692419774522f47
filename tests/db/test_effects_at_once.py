import asyncio
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from durable_agents.db.engine import Database
from durable_agents.db.tables import Effect
from durable_agents.models.errors import IdempotencyConflictError
from tests.db.effect_steps import BrokenError, close, generations, once, ticket, written


@pytest.fixture
def key() -> str:
    return f"test-{uuid.uuid4()}"


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
