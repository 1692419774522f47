"""Turns of model calls: nothing without a limit, waiting, settling, a provider's word."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.agent.quotas import Quotas, draw_of_calls, draw_of_tokens
from durable_agents.db.engine import Database
from durable_agents.db.quotas import read_levels
from durable_agents.models.errors import (
    DatabaseUnavailableError,
    ModelRequestError,
    ModelUnavailableError,
    QuotaSizeError,
    QuotaWaitError,
)
from tests.workflows.runs import until

PER_MINUTE = 60_000  # 1,000 a second; 6,000 at once


@dataclass
class Watch:
    """Keeps what it is told."""

    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    waits: list[float] = field(default_factory=list[float])

    async def heard(self, what: str, of: str) -> bool:
        return (what, of) in self.told

    def waited(self, quota: str, seconds: float) -> None:
        self.told.append(("waited", quota))
        self.waits.append(seconds)

    def sent_away(self, quota: str, seconds: float) -> None:
        self.told.append(("sent away", quota))

    def reserved(self, model: str, tokens: int) -> None:
        self.told.append((f"reserved {tokens}", model))


@pytest.fixture
async def name(database: Database) -> AsyncIterator[str]:
    """A quota and a model that no other test uses."""
    named = f"t-{secrets.token_hex(6)}"
    yield named
    async with database.statement() as connection:
        await connection.execute(
            text("DELETE FROM quotas WHERE quota LIKE :name"), {"name": f"%/{named}"}
        )


async def level(database: Database, name: str, of: str = "model") -> float:
    draw = draw_of_tokens(name, PER_MINUTE, 0) if of == "model" else draw_of_calls(name, 5, 1)
    async with database.statement() as connection:
        return (await read_levels(connection, [draw]))[draw.quota]


async def rows(database: Database, name: str) -> int:
    async with database.statement() as connection:
        query = text("SELECT count(*) FROM quotas WHERE quota LIKE :name")
        return int(await connection.scalar(query, {"name": f"%/{name}"}) or 0)


async def test_without_a_limit_the_database_is_not_asked(name: str) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    quotas = Quotas(nowhere, calls={"other": 1}, tokens={"other": 1})

    async with quotas.turn(name, name, lambda: pytest.fail("nobody needs to know")) as spending:
        spending.tokens = 5

    await nowhere.close()


async def test_calls_over_the_limit_wait_on_the_spot_and_are_spread(
    database: Database, name: str
) -> None:
    watch = Watch()
    quotas = Quotas(database, calls={name: 10}, watch=watch)
    began, made = time.monotonic(), list[float]()

    async def call() -> None:
        async with quotas.turn(name, name, lambda: 0):
            made.append(time.monotonic() - began)

    await asyncio.gather(*(call() for _ in range(15)))

    assert max(made) > 0.9  # five at once, then ten at ten a second; a busy machine takes longer
    assert watch.told.count(("waited", name)) == 10
    # By the database's clock nobody is told to wait longer, however busy the machine is.
    assert max(watch.waits) <= 1.0


async def test_a_wait_over_five_seconds_takes_nothing_and_names_when_to_come_back(
    database: Database, name: str
) -> None:
    quotas = Quotas(database, calls={name: 0.1})
    async with quotas.turn(name, name, lambda: 0):
        pass

    with pytest.raises(QuotaWaitError, match="used up for now") as raised:
        async with quotas.turn(name, name, lambda: 0):
            pytest.fail("it is not its turn")

    delay = raised.value.retry_after
    assert delay is not None
    assert 9 < delay.total_seconds() < 16
    assert not raised.value.held


async def test_a_cancelled_wait_gives_its_turn_back(database: Database, name: str) -> None:
    watch = Watch()
    quotas = Quotas(database, calls={name: 0.5}, tokens={name: PER_MINUTE}, watch=watch)

    async def call() -> None:
        async with quotas.turn(name, name, lambda: 500) as spending:
            spending.tokens = 500

    await call()
    waiting = asyncio.create_task(call())
    await until(lambda: watch.heard("waited", name), "it waits")
    waiting.cancel()
    await asyncio.wait({waiting})

    assert waiting.cancelled()
    assert await level(database, name) > 5400  # 5,000 are left while it waits
    assert -0.1 < await level(database, name, "calls") < 1


async def test_tokens_are_taken_before_a_call_and_settled_after_it(
    database: Database, name: str
) -> None:
    watch = Watch()
    quotas = Quotas(database, tokens={name: PER_MINUTE}, watch=watch)

    async with quotas.turn("", name, lambda: 5000) as spending:
        during = await level(database, name)
        spending.tokens = 1000
    after = await level(database, name)

    assert during == pytest.approx(1000, abs=500)
    assert after == pytest.approx(5000, abs=700)
    assert watch.told == [("reserved 5000", name)]


async def test_tokens_of_a_model_without_a_limit_delay_nobody(
    database: Database, name: str
) -> None:
    watch = Watch()
    quotas = Quotas(database, calls={name: 100}, watch=watch)

    for _ in range(5):
        async with quotas.turn(name, name, lambda: pytest.fail("nobody needs to know")) as call:
            call.tokens = 10_000

    assert watch.told == []


@pytest.mark.parametrize("error", [ModelUnavailableError("Away."), ModelRequestError("No.")])
async def test_a_call_that_failed_gives_its_tokens_back(
    database: Database, name: str, error: Exception
) -> None:
    quotas = Quotas(database, tokens={name: PER_MINUTE})

    with pytest.raises(type(error)):
        async with quotas.turn("", name, lambda: 5000):
            raise error

    assert await level(database, name) == 6000


async def test_a_call_whose_outcome_is_not_known_stays_counted(
    database: Database, name: str
) -> None:
    quotas = Quotas(database, tokens={name: 60})

    with pytest.raises(asyncio.CancelledError):
        async with quotas.turn("", name, lambda: 6):
            raise asyncio.CancelledError

    draw = draw_of_tokens(name, 60, 0)
    async with database.statement() as connection:
        left = (await read_levels(connection, [draw]))[draw.quota]
    assert left < 2


async def test_a_providers_word_holds_back_all_who_ask_that_model_and_no_other(
    database: Database, name: str
) -> None:
    quotas = Quotas(database, calls={name: 100, f"x-{name}": 100})
    told = ModelUnavailableError("Later.", retry_after=timedelta(seconds=30))

    with pytest.raises(ModelUnavailableError):
        async with quotas.turn(name, name, lambda: 0):
            raise told
    with pytest.raises(QuotaWaitError, match="asks everyone to wait") as raised:
        async with quotas.turn(f"x-{name}", name, lambda: 0):
            pytest.fail("the provider asked everyone to wait")
    async with quotas.turn(name, f"x-{name}", lambda: 0):
        pass

    assert raised.value.held
    assert raised.value.retry_after is not None
    assert raised.value.retry_after >= timedelta(seconds=29)


async def test_who_waits_for_a_turn_heeds_what_the_provider_says_meanwhile(
    database: Database, name: str
) -> None:
    watch = Watch()
    quotas = Quotas(database, calls={name: 2}, watch=watch)
    told = ModelUnavailableError("Later.", retry_after=timedelta(seconds=30))

    async def call() -> None:
        async with quotas.turn(name, name, lambda: 0):
            pytest.fail("the provider asked everyone to wait")

    async def call_in_vain() -> None:
        async with quotas.turn(name, name, lambda: 0):
            waiting.append(asyncio.create_task(call()))
            await until(lambda: watch.heard("waited", name), "it waits")
            raise told

    waiting: list[asyncio.Task[None]] = []
    with pytest.raises(ModelUnavailableError):
        await call_in_vain()

    with pytest.raises(QuotaWaitError):
        await waiting[0]


async def test_a_call_larger_than_a_minutes_tokens_says_what_to_do(
    database: Database, name: str
) -> None:
    quotas = Quotas(database, tokens={name: 1000})

    with pytest.raises(QuotaSizeError, match=r"MODEL_TOKENS_PER_MINUTE.*output_tokens"):
        async with quotas.turn("", name, lambda: 1001):
            pytest.fail("it is too large")

    assert await rows(database, name) == 0


class LeavingDatabase(Database):
    """The database, until it is away."""

    away = False

    @asynccontextmanager
    async def statement(self) -> AsyncGenerator[AsyncConnection]:
        if self.away:
            raise DatabaseUnavailableError("It is away.")
        async with super().statement() as connection:
            yield connection


async def test_a_database_that_goes_away_does_not_lose_an_answer(
    database: Database, database_url: str, name: str
) -> None:
    leaving = LeavingDatabase(database_url)
    quotas = Quotas(leaving, tokens={name: PER_MINUTE})

    async with quotas.turn("", name, lambda: 5000) as spending:
        leaving.away = True
        spending.tokens = 10

    assert await level(database, name) < 3000
    await leaving.close()
