"""Tenants, what limits their days, and calls that died."""

import asyncio
import secrets
from collections.abc import Mapping

from sqlalchemy import text

from durable_agents.agent.asking import Asker
from durable_agents.agent.daily_limits import DailyLimits, TenantDays
from durable_agents.agent.definition import AgentDefinition, AgentLimits
from durable_agents.agent.prices import Prices
from durable_agents.agent.question import Question
from durable_agents.agent.sites import CallSite
from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import Amounts, Caller, TenantDay, lock_day, read_days, reserve
from durable_agents.models.errors import BudgetExceededError, QuotaWaitError
from tests.activities.performing import new_run
from tests.fake_model import FakeModel

AGENT = AgentDefinition(name="a", instructions="Be good.", limits=AgentLimits(output_tokens=100))
QUESTION = Question([{"role": "user", "content": "Hello"}], lambda answer: "")
NONE: Mapping[str, float] = {}


def tenant() -> str:
    return f"tenant-{secrets.token_hex(6)}"


def limits(
    *,
    tokens: Mapping[str, float] = NONE,
    usd: Mapping[str, float] = NONE,
    calls: Mapping[str, float] = NONE,
) -> DailyLimits:
    return DailyLimits(tokens, usd, calls)


def asker(database: Database, within: DailyLimits, model: FakeModel, prices: str = "") -> Asker:
    known = Prices(prices)
    return Asker(model, database, known, days=TenantDays(database, within, known))


def site(of: str, *, run: str = "", step: str = "think-1", attempt: int = 1) -> CallSite:
    return CallSite("w", run or new_run(), step, attempt, user_id="u", tenant=of)


async def day_of(database: Database, of: str) -> TenantDay:
    async with database.statement() as connection:
        return next(day for day in await read_days(connection) if day.tenant == of)


async def patiently(asked: Asker, of: str) -> str:
    """Ask as Temporal has it asked: again after a wait, until it is answered or refused."""
    while True:
        try:
            return (await asked.ask(AGENT, QUESTION, site(of))).answer.text
        except QuotaWaitError:
            await asyncio.sleep(0.01)
        except BudgetExceededError:
            return "refused"


async def reserved_by(database: Database, of: str, caller: Caller, tokens: int) -> None:
    """A reservation of a worker that died with it."""
    async with database.transaction() as connection:
        day = await lock_day(connection, of, caller)
        await reserve(connection, day, caller, Amounts(tokens), seconds=600)


async def expire(database: Database, of: str) -> None:
    past = "UPDATE tenant_reservations SET expires_at = now() - interval '1 s' WHERE tenant = :t"
    async with database.statement() as connection:
        await connection.execute(text(past), {"t": of})
