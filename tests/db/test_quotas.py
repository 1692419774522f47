"""Buckets that many processes share: exact under concurrency, on the database's clock."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from durable_agents.db.engine import Database
from durable_agents.db.quotas import Draw, Turn, hold_of, read_holds, read_levels, settle, take_turn

HOUR = 3600


def draw(amount: float = 1, *, rate: float = 0.001, size: float = 10, key: str = "") -> Draw:
    """A draw from a bucket that practically does not fill up while a test runs."""
    return Draw(key or f"test/{secrets.token_hex(8)}", amount=amount, rate=rate, size=size)


@pytest.fixture(autouse=True)
async def _no_rows_are_left(database: Database) -> AsyncIterator[None]:  # pyright: ignore[reportUnusedFunction] - autouse
    yield
    async with database.statement() as connection:
        await connection.execute(text("DELETE FROM quotas WHERE quota LIKE 'test/%'"))


async def take(database: Database, *draws: Draw, patience_s: float = 0) -> Turn:
    async with database.statement() as connection:
        return await take_turn(connection, draws, patience_s)


async def level(database: Database, of: Draw) -> float:
    async with database.statement() as connection:
        return (await read_levels(connection, [of]))[of.quota]


async def move_clock(database: Database, of: Draw, seconds: float) -> None:
    """Let the bucket's times lie further back, as if the database's clock had been set on."""
    async with database.statement() as connection:
        await connection.execute(
            text(
                "UPDATE quotas SET updated_at = updated_at - make_interval(secs => :seconds),"
                " not_before = not_before - make_interval(secs => :seconds) WHERE quota = :quota"
            ),
            {"seconds": seconds, "quota": of.quota},
        )


async def test_a_hundred_calls_at_once_never_take_more_than_there_is(database: Database) -> None:
    one = draw()

    turns = await asyncio.gather(*(take(database, one) for _ in range(100)))

    assert sum(turn.taken for turn in turns) == 10
    assert await level(database, one) == pytest.approx(0, abs=0.1)


async def test_calls_that_draw_from_two_buckets_never_wait_for_each_other(
    database: Database,
) -> None:
    one, other = draw(), draw(size=30)

    turns = await asyncio.gather(
        *(take(database, *((one, other) if n % 2 else (other, one))) for n in range(100))
    )

    assert sum(turn.taken for turn in turns) == 10
    assert await level(database, other) == pytest.approx(20, abs=0.1)


async def test_nothing_is_taken_of_any_bucket_when_one_has_not_enough(database: Database) -> None:
    full, empty = draw(), draw(10)
    await take(database, empty)

    turn = await take(database, full, empty)

    assert not turn.taken
    assert await level(database, full) == 10


async def test_those_who_wait_get_turns_one_after_the_other(database: Database) -> None:
    one = draw(rate=2, size=1)

    turns = [await take(database, one, patience_s=1.2) for _ in range(4)]

    assert [turn.taken for turn in turns] == [True, True, True, False]
    assert [turn.wait_s for turn in turns] == pytest.approx([0, 0.5, 1, 1.5], abs=0.2)


async def test_a_call_larger_than_the_bucket_waits_for_a_full_one_and_leaves_a_debt(
    database: Database,
) -> None:
    large = draw(25, rate=1)

    first = await take(database, large)
    second = await take(database, large, patience_s=5)

    assert first == Turn(taken=True, wait_s=0, held=False)
    assert not second.taken
    assert second.wait_s == pytest.approx(25, abs=0.5)


async def test_what_was_not_used_is_put_back_up_to_the_size(database: Database) -> None:
    one = draw(8)
    await take(database, one)

    async with database.statement() as connection:
        await settle(connection, one, 5)
        half_full = await level(database, one)
        await settle(connection, one, 500)

    assert half_full == pytest.approx(7, abs=0.1)
    assert await level(database, one) == 10


async def test_what_was_used_beyond_the_estimate_is_taken(database: Database) -> None:
    one = draw(8)
    await take(database, one)

    async with database.statement() as connection:
        await settle(connection, one, -20)

    assert await level(database, one) == pytest.approx(-18, abs=0.1)


async def test_a_crash_before_settling_costs_the_estimate_until_the_bucket_has_filled_up(
    database: Database,
) -> None:
    one = draw(10, rate=1)
    await take(database, one)  # and its process dies

    at_once = await take(database, one)
    await move_clock(database, one, 10)
    later = await take(database, one)

    assert at_once.wait_s == pytest.approx(10, abs=0.5)
    assert later.taken


async def test_a_providers_word_holds_for_everyone_and_the_longest_counts(
    database: Database,
) -> None:
    one = draw(0, rate=1, size=0)
    await take(database, one)

    async with database.statement() as connection:
        await settle(connection, one, 0, 30)
        await settle(connection, one, 0, 3)
        hold = await hold_of(connection, [one.quota])
        holds = await read_holds(connection)
    turn = await take(database, one, patience_s=5)
    await move_clock(database, one, 31)
    after = await take(database, one)

    assert [hold, holds[one.quota]] == pytest.approx([30, 30], abs=1)
    assert (turn.taken, turn.held) == (False, True)
    assert turn.wait_s == pytest.approx(30, abs=1)
    assert after == Turn(taken=True, wait_s=0, held=False)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_a_clock_that_jumps_gives_one_bucket_at_most_and_blocks_nobody(
    database: Database, seconds: float
) -> None:
    one = draw(10, rate=5)
    await take(database, one)
    async with database.statement() as connection:
        await settle(connection, one, 0, 3)

    await move_clock(database, one, seconds)
    turn = await take(database, one, patience_s=2.5)
    next_one = await take(database, one, patience_s=2.5)

    assert turn.taken
    assert turn.wait_s == pytest.approx(0 if seconds > 0 else 2, abs=0.3)
    assert not next_one.taken or seconds > 0
    assert next_one.wait_s == pytest.approx(2 if seconds > 0 else 4, abs=0.3)


async def test_a_bucket_of_which_nothing_is_taken_delays_nobody_with_old_debts(
    database: Database,
) -> None:
    limited = draw(10)
    unlimited = draw(0, rate=1, size=0, key=limited.quota)
    await take(database, limited)
    async with database.statement() as connection:
        await settle(connection, limited, -500)

    turn = await take(database, unlimited)

    assert turn == Turn(taken=True, wait_s=0, held=False)
    assert await level(database, limited) == pytest.approx(-500, abs=0.1)
