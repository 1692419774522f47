"""What a tenant may spend in a day: exact side by side, whatever dies."""

import asyncio
from datetime import date, timedelta

import pytest

from durable_agents.agent.asking import Asker
from durable_agents.agent.daily_limits import TenantDays, granted
from durable_agents.agent.prices import Prices
from durable_agents.agent.sites import CallSite
from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import Amounts, TenantDay
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    ModelRequestError,
    QuotaWaitError,
)
from durable_agents.models.tenants import tenant_key
from tests.activities.performing import new_run
from tests.agent.spending import AGENT, QUESTION, asker, day_of, limits, patiently, site, tenant
from tests.fake_model import MODEL, FakeModel, says

FREE = (0.0, 0.0)


async def test_forty_calls_at_once_never_use_more_than_the_day_has(database: Database) -> None:
    of = tenant()
    model = FakeModel([says("Hi.", tokens=(10, 100))])
    asked = asker(database, limits(tokens={of: 1000}), model)

    said = await asyncio.gather(*(patiently(asked, of) for _ in range(40)))

    day = await day_of(database, of)
    assert day.spent.tokens <= 1000
    assert day.spent.tokens == 110 * said.count("Hi.")
    assert said.count("Hi.") == 9
    assert day.reserved == Amounts()


async def test_a_limit_of_calls_holds_to_the_last_one(database: Database) -> None:
    of = tenant()
    asked = asker(database, limits(calls={"*": 7}), FakeModel([says("Hi.")]))

    said = await asyncio.gather(*(patiently(asked, of) for _ in range(20)))

    assert said.count("Hi.") == 7
    assert (await day_of(database, of)).spent.calls == 7


async def test_a_day_that_is_used_up_says_so_and_when_it_opens_again(database: Database) -> None:
    of = tenant()
    asked = asker(database, limits(calls={of: 1}), FakeModel([says("Hi.")]))
    await asked.ask(AGENT, QUESTION, site(of))

    with pytest.raises(BudgetExceededError) as refused:
        await asked.ask(AGENT, QUESTION, site(of))

    opens = (await day_of(database, of)).day + timedelta(days=1)
    assert refused.value.message == (
        f"The limit of 1 model calls a day is used up for tenant {of}. "
        f"It opens again at {opens} 00:00 UTC; TENANT_DAILY_CALLS raises it."
    )


async def test_another_tenant_is_not_held_back(database: Database) -> None:
    full, free = tenant(), tenant()
    asked = asker(database, limits(calls={"*": 1}), FakeModel([says("Hi.")]))
    await asked.ask(AGENT, QUESTION, site(full))

    assert await patiently(asked, full) == "refused"
    assert await patiently(asked, free) == "Hi."


async def test_without_a_limit_nothing_is_asked_of_the_database() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    asked = asker(nowhere, limits(tokens={"other": 1}), FakeModel([says("Hi.")]))

    answer = (await asked.ask(AGENT, QUESTION, site(tenant()))).answer

    assert answer.text == "Hi."


async def test_a_tenant_with_a_long_name_has_the_limit_of_its_name(database: Database) -> None:
    name = f"{tenant()}-{'x' * 100}"
    asked = asker(database, limits(calls={name: 1, "*": 100}), FakeModel([says("Hi.")]))

    said = [await patiently(asked, tenant_key(name)) for _ in range(2)]

    assert said == ["Hi.", "refused"]


async def test_near_the_limit_an_answer_gets_what_is_left(database: Database) -> None:
    of = tenant()
    model = FakeModel([says("Hi.", tokens=(8, 20))])

    await asker(database, limits(tokens={of: 60}), model).ask(AGENT, QUESTION, site(of))

    assert 16 <= model.asked[0].max_output_tokens < 60


async def test_a_user_with_a_long_name_who_has_no_tenant_has_the_limit_of_that_name(
    database: Database,
) -> None:
    name = f"{tenant()}-{'x' * 100}"
    asked = asker(database, limits(calls={name: 1, "*": 100}), FakeModel([says("Hi.")]))
    own = CallSite("w", new_run(), "think-1", 1, user_id=name)
    await asked.ask(AGENT, QUESTION, own)

    with pytest.raises(BudgetExceededError):
        await asked.ask(AGENT, QUESTION, own)


async def test_a_call_that_fails_counts_as_a_call_and_reserves_nothing_any_more(
    database: Database,
) -> None:
    of = tenant()
    asked = asker(database, limits(tokens={of: 1000}), FakeModel([ModelRequestError("No.")]))

    with pytest.raises(ModelRequestError):
        await asked.ask(AGENT, QUESTION, site(of))

    day = await day_of(database, of)
    assert (day.spent, day.reserved) == (Amounts(calls=1), Amounts())


async def test_dollars_are_reserved_and_settled_by_the_price_of_the_model(
    database: Database,
) -> None:
    of = tenant()
    model = FakeModel([says("Hi.", tokens=(8, 100))])
    asked = asker(database, limits(usd={of: 0.0043}), model, prices=f"{MODEL}=1/20")

    said = [await patiently(asked, of) for _ in range(3)]

    assert said == ["Hi.", "Hi.", "refused"]  # what is left is too little for 16 tokens
    assert (await day_of(database, of)).spent.cost_usd == pytest.approx(0.004016)


async def test_a_limit_in_dollars_needs_a_price(database: Database) -> None:
    of = tenant()
    lacking = Asker(
        FakeModel([says("Hi.")]),
        database,
        Prices(),
        days=TenantDays(database, limits(usd={of: 1}), _NoPrices()),
    )

    with pytest.raises(ConfigurationError, match="MODEL_PRICES="):
        await lacking.ask(AGENT, QUESTION, site(of))


class _NoPrices(Prices):
    def of(self, model: str) -> tuple[float, float] | None:
        return None


@pytest.mark.parametrize(
    ("spent", "held", "outcome"),
    [
        (0, 0, 100),
        (800, 0, 100),
        (890, 0, 100),
        (900, 0, 90),
        (974, 0, 16),
        (975, 0, BudgetExceededError),
        (1000, 0, BudgetExceededError),
        (0, 890, 100),
        (0, 891, QuotaWaitError),
        (900, 1, QuotaWaitError),
        (990, 1, BudgetExceededError),
    ],
)
def test_what_is_granted_of_a_day_of_a_thousand_tokens(
    spent: int, held: int, outcome: int | type[Exception]
) -> None:
    day = TenantDay("t", date(2026, 1, 1), Amounts(spent), Amounts(held))

    if isinstance(outcome, int):
        assert granted(Amounts(1000), day, 10, 100, FREE) == outcome
    else:
        with pytest.raises(outcome):
            granted(Amounts(1000), day, 10, 100, FREE)
