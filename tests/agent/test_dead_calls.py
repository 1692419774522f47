"""What a day counts of calls that nobody heard of again."""

import asyncio

import pytest
from sqlalchemy import text

from durable_agents.clients.completion import ChatAnswer
from durable_agents.clients.model import ChatRequest
from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import Amounts, Caller, lock_day, reserve, settle
from durable_agents.models.errors import BudgetExceededError, QuotaWaitError
from tests.activities.performing import new_run
from tests.agent.spending import (
    AGENT,
    QUESTION,
    asker,
    day_of,
    expire,
    limits,
    patiently,
    reserved_by,
    site,
    tenant,
)
from tests.fake_model import FakeModel, says


async def test_a_later_attempt_takes_the_place_of_one_that_died(database: Database) -> None:
    of, run = tenant(), new_run()
    await reserved_by(database, of, Caller(run, "think-1", 1), 900)
    asked = asker(database, limits(tokens={of: 1000}), FakeModel([says("Hi.")]))

    with pytest.raises(QuotaWaitError):  # a call of somebody else: it may yet be used
        await asked.ask(AGENT, QUESTION, site(of))
    answer = (await asked.ask(AGENT, QUESTION, site(of, run=run, attempt=2))).answer

    assert answer.text == "Hi."
    day = await day_of(database, of)
    assert (day.spent.tokens, day.spent.calls, day.reserved) == (915, 2, Amounts())


async def test_a_reservation_that_nobody_follows_ends_by_itself(database: Database) -> None:
    of = tenant()
    await reserved_by(database, of, Caller(new_run(), "think-1", 1), 900)
    await expire(database, of)
    asked = asker(database, limits(tokens={of: 1000}), FakeModel([says("Hi.")]))

    assert await patiently(asked, of) == "Hi."
    spent = (await day_of(database, of)).spent
    assert (spent.tokens, spent.calls) == (915, 2)


async def test_workers_that_die_again_and_again_use_up_a_day(database: Database) -> None:
    of, run = tenant(), new_run()
    asked = asker(database, limits(tokens={of: 1000}), FakeModel([says("Hi.")]))

    for attempt in (1, 2):
        await reserved_by(database, of, Caller(run, "think-1", attempt), 500)

    with pytest.raises(BudgetExceededError):
        await asked.ask(AGENT, QUESTION, site(of, run=run, attempt=3))


async def test_what_was_reserved_yesterday_is_booked_to_yesterday(database: Database) -> None:
    of = tenant()
    await reserved_by(database, of, Caller(new_run(), "think-1", 1), 900)
    async with database.statement() as connection:
        for table in ("tenant_days", "tenant_reservations"):
            back = f"UPDATE {table} SET day = day - 1 WHERE tenant = :t"  # noqa: S608 - ours
            await connection.execute(text(back), {"t": of})
    await expire(database, of)

    await patiently(asker(database, limits(tokens={of: 1000}), FakeModel([says("Hi.")])), of)

    query = "SELECT tokens, calls FROM tenant_days WHERE tenant = :t ORDER BY day"
    async with database.statement() as connection:
        days = [tuple(row) for row in await connection.execute(text(query), {"t": of})]
    assert days == [(900, 1), (15, 1)]


async def test_a_call_that_was_taken_for_dead_and_ends_after_all_is_booked_once(
    database: Database,
) -> None:
    of, run = tenant(), new_run()
    caller = Caller(run, "think-1", 1)
    async with database.transaction() as connection:
        day = await lock_day(connection, of, caller)
        number = await reserve(connection, day, caller, Amounts(900), seconds=600)
    asked = asker(database, limits(tokens={of: 1000}), FakeModel([says("Hi.")]))
    await asked.ask(AGENT, QUESTION, site(of, run=run, attempt=2))

    async with database.statement() as connection:
        await settle(connection, day, number, Amounts(tokens=300, calls=1))

    spent = (await day_of(database, of)).spent
    assert (spent.tokens, spent.calls) == (915, 2)


class Hangs(FakeModel):
    """A model that is asked and says nothing."""

    def __init__(self) -> None:
        super().__init__([])
        self.begun = asyncio.Event()

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_call_that_is_cancelled_while_the_model_works_is_booked_as_if_it_had_answered(
    database: Database,
) -> None:
    of, run, model = tenant(), new_run(), Hangs()
    within = limits(tokens={of: 1000})
    asking = asyncio.ensure_future(
        asker(database, within, model).ask(AGENT, QUESTION, site(of, run=run))
    )
    await model.begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    set_aside = (await day_of(database, of)).reserved
    await asker(database, within, FakeModel([says("Hi.")])).ask(
        AGENT, QUESTION, site(of, run=run, attempt=2)
    )

    assert (set_aside.calls, set_aside.tokens > 100) == (1, True)
    spent = (await day_of(database, of)).spent
    assert (spent.tokens, spent.calls) == (set_aside.tokens + 15, 2)
