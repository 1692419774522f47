"""What `doctor` says of the days of tenants."""

import secrets
from datetime import date

import pytest

from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import Amounts, Caller, TenantDay, lock_day, reserve, settle
from durable_agents.runtime.settings import Settings
from starters.tenant_days import limits_days, look_at_days, told_of


async def test_those_who_are_nearest_to_their_limits_are_told_first(
    settings: Settings, database: Database
) -> None:
    near, far = (f"{name}-{secrets.token_hex(4)}" for name in ("near", "far"))
    for tenant, used in ((far, Amounts(10, 0, 1)), (near, Amounts(990, 0, 2))):
        caller = Caller(secrets.token_hex(4), "think-1", 1)
        async with database.transaction() as connection:
            day = await lock_day(connection, tenant, caller)
            number = await reserve(connection, day, caller, Amounts(100), seconds=60)
            await settle(connection, day, number, used)
    limited = settings.model_copy(update={"tenant_daily_tokens": {near: 1000, far: 1000}})

    told = await look_at_days(limited)

    assert told == f"{near} 990 of 1,000 tokens; {far} 10 of 1,000 tokens"


def test_without_limits_there_is_nothing_to_tell(settings: Settings) -> None:
    assert not limits_days(settings)
    assert limits_days(settings.model_copy(update={"tenant_daily_usd": {"*": 5.0}}))


@pytest.mark.parametrize(
    ("day", "limits", "told"),
    [
        (
            TenantDay("acme", date(2026, 1, 1), Amounts(1200, 0.5, 3), Amounts(calls=2)),
            Amounts(2_000_000, 5, 100),
            "acme 1,200 of 2,000,000 tokens and 0.5 of 5 US dollars and 3 of 100 calls,"
            " 2 under way",
        ),
        (
            TenantDay("", date(2026, 1, 1), Amounts(calls=3), Amounts()),
            Amounts(calls=4),
            "(no tenant) 3 of 4 calls",
        ),
    ],
)
def test_a_day_is_told_by_the_limits_there_are(day: TenantDay, limits: Amounts, told: str) -> None:
    assert told_of(day, limits) == told
