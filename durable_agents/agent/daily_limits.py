"""What a tenant may spend in a day, by all its runs: reserved before a call, settled after it.

A call that fits beside all others under way is made at once. One that fits only if they use less
than they may waits for them, without counting as a failure. Near the limit an answer gets what is
left; where that is too little, `BudgetExceededError` says when the day ends.

A reservation outlives its attempt by a minute at most: the next attempt of the step takes its
place, and one that nobody follows ends by itself. What such a call has cost nobody knows, so that
all that was set aside for it is booked.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

from durable_agents.agent.allowance import MIN_OUTPUT_TOKENS
from durable_agents.agent.prices import Price, Prices
from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import (
    Amounts,
    Caller,
    TenantDay,
    lock_day,
    reserve,
    settle,
)
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    DatabaseUnavailableError,
    QuotaWaitError,
)
from durable_agents.models.tenants import tenant_key

EVERYONE = "*"
SPARE = timedelta(minutes=1)  # a call that has timed out settles within this
WAIT_S = 2.0  # until calls under way may have settled

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DailyLimits:
    """Tokens, US dollars and calls of a day by tenant; `*` is every tenant that is not named."""

    tokens: Mapping[str, float]
    usd: Mapping[str, float]
    calls: Mapping[str, float]

    def of(self, tenant: str) -> Amounts | None:
        """The limits of a tenant, or None where there are none."""
        found = Amounts(
            tokens=int(_of(self.tokens, tenant)),
            cost_usd=_of(self.usd, tenant),
            calls=int(_of(self.calls, tenant)),
        )
        return found if found != Amounts() else None


@dataclass(frozen=True)
class Planned:
    """A call to be made: for whom and by whom, which model, how long, and what goes in at most."""

    tenant: str
    caller: Caller
    model: str
    timeout: timedelta
    output_tokens: int
    estimate: Callable[[], int]


@dataclass
class Reserved:
    """How long an answer may be; whether the model was asked, and what that has used in the end."""

    output_tokens: int
    asked: bool = False
    input_used: int = 0
    output_used: int = 0


class TenantDays:
    """Keeps the model calls of a process within the days of their tenants.

    Args:
        database: Where the days are.
        limits: What tenants may spend; without any, nothing is asked of the database.
        prices: What tokens cost.
    """

    def __init__(self, database: Database, limits: DailyLimits, prices: Prices) -> None:
        self._database = database
        self._limits = limits
        self._prices = prices

    @asynccontextmanager
    async def reserved(self, planned: Planned) -> AsyncGenerator[Reserved]:
        """Make one call inside this; note that it is made, and what it has used.

        Raises:
            BudgetExceededError: The day is used up.
            QuotaWaitError: It may be, by what calls under way use.
            ConfigurationError: There is a limit in US dollars, but no price.
            DatabaseUnavailableError: The database does not answer.
        """
        limits = self._limits.of(planned.tenant)
        if limits is None:
            yield Reserved(planned.output_tokens)
            return
        day, number, reserved = await self._reserve(planned, limits)
        known = True
        try:
            yield reserved
        except asyncio.CancelledError:
            known = bool(reserved.input_used) or not reserved.asked
            raise
        finally:
            if known:
                await asyncio.shield(self._settle(planned, day, number, reserved))

    async def _reserve(self, planned: Planned, limits: Amounts) -> tuple[TenantDay, int, Reserved]:
        asked, price = planned.estimate(), self._price(planned, limits)
        async with self._database.transaction() as connection:
            day = await lock_day(connection, planned.tenant, planned.caller)
            output = granted(limits, day, asked, planned.output_tokens, price)
            amounts = Amounts(asked + output, _cost(price, asked, output))
            seconds = (planned.timeout + SPARE).total_seconds()
            number = await reserve(connection, day, planned.caller, amounts, seconds)
        return day, number, Reserved(output)

    def _price(self, planned: Planned, limits: Amounts) -> Price:
        price = self._prices.of(planned.model)
        if price is None and limits.cost_usd:
            raise ConfigurationError(
                f"A daily limit in US dollars needs the price of {planned.model}. Set "
                f"MODEL_PRICES={planned.model}=INPUT/OUTPUT (US dollars for a million tokens)."
            )
        return price or (0.0, 0.0)

    async def _settle(
        self, planned: Planned, day: TenantDay, number: int, reserved: Reserved
    ) -> None:
        """Settle; where the database is away, the answer is not lost, and the reservation ends."""
        used = Amounts(
            reserved.input_used + reserved.output_used,
            self._prices.cost(planned.model, reserved.input_used, reserved.output_used),
            int(reserved.asked),
        )
        try:
            async with self._database.statement() as connection:
                await settle(connection, day, number, used)
        except DatabaseUnavailableError as error:
            logger.warning(
                "For a call of %s all that it may use is booked: %s", day.tenant, error.message
            )


def within_the_day(
    days: TenantDays | None, planned: Planned
) -> AbstractAsyncContextManager[Reserved]:
    """Make a call inside this; where no days are kept, nothing limits it."""
    return nullcontext(Reserved(planned.output_tokens)) if days is None else days.reserved(planned)


def granted(limits: Amounts, day: TenantDay, asked: int, output: int, price: Price) -> int:
    """How many tokens the answer of a call may have.

    Args:
        limits: What the tenant may spend in a day.
        day: What is spent and reserved of it.
        asked: About how many tokens go in.
        output: How many tokens the answer may have otherwise.
        price: US dollars for a million tokens, in and out.

    Raises:
        BudgetExceededError: What is left does not suffice.
        QuotaWaitError: It may suffice when calls under way have ended.
    """
    least = min(output, MIN_OUTPUT_TOKENS)
    for name in ("tokens", "cost_usd", "calls"):
        limit = getattr(limits, name)
        if not limit:
            continue
        spent, held = getattr(day.spent, name), getattr(day.reserved, name)
        needed, wanted = (_amount(name, price, asked, tokens) for tokens in (least, output))
        if spent + needed > limit:
            raise _exceeded(name, limits, day)
        if held and spent + held + wanted > limit:
            raise _busy(day)
        output = min(output, _affordable(name, price, asked, limit - spent, output))
    return output


def _amount(name: str, price: Price, asked: int, output: int) -> float:
    if name == "calls":
        return 1
    return asked + output if name == "tokens" else _cost(price, asked, output)


def _affordable(name: str, price: Price, asked: int, left: float, output: int) -> int:
    """How long an answer may be for what is left."""
    if name == "tokens":
        return int(left) - asked
    if name == "cost_usd" and price[1]:
        return int((left - _cost(price, asked, 0)) / price[1] * 1_000_000)
    return output


def _cost(price: Price, asked: int, output: int) -> float:
    return (asked * price[0] + output * price[1]) / 1_000_000


_TOLD = {
    "tokens": ("{0:,} tokens", "TENANT_DAILY_TOKENS"),
    "cost_usd": ("{0:g} US dollars", "TENANT_DAILY_USD"),
    "calls": ("{0:,} model calls", "TENANT_DAILY_CALLS"),
}


def _exceeded(name: str, limits: Amounts, day: TenantDay) -> BudgetExceededError:
    amount, setting = _TOLD[name]
    opens = day.day + timedelta(days=1)
    return BudgetExceededError(
        f"The limit of {amount.format(getattr(limits, name))} a day is used up for "
        f"{_named(day.tenant)}. It opens again at {opens} 00:00 UTC; {setting} raises it."
    )


def _busy(day: TenantDay) -> QuotaWaitError:
    seconds = WAIT_S * (1 + random.random())  # noqa: S311 - no secret
    return QuotaWaitError(
        f"What is left of the day of {_named(day.tenant)} may be used by calls under way; this "
        f"one is made in {seconds:.0f} s, without counting as a failure.",
        retry_after=timedelta(seconds=seconds),
        held=False,
    )


def _named(tenant: str) -> str:
    return f"tenant {tenant}" if tenant else "runs without a tenant"


def _of(limits: Mapping[str, float], tenant: str) -> float:
    for name, limit in limits.items():
        if name != EVERYONE and tenant_key(name) == tenant:
            return limit
    return limits.get(EVERYONE, 0)
