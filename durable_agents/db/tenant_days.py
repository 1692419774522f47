"""What tenants have spent of their day, and what of it is reserved for calls under way.

The row of a tenant's day is locked while a call reserves, so that calls side by side cannot
overshoot together. The day is that of the database's clock, in UTC.

What was reserved for a call whose worker died is booked as if all of it had been used, once the
next attempt of its step is there, or its time is over: the provider may have charged it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

TODAY = "CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date)"


@dataclass(frozen=True)
class Amounts:
    """Tokens, US dollars, calls; as a limit, 0 sets none."""

    tokens: int = 0
    cost_usd: float = 0.0
    calls: int = 0


@dataclass(frozen=True)
class TenantDay:
    """A tenant's day: what is spent, and what calls under way may spend besides."""

    tenant: str
    day: date
    spent: Amounts
    reserved: Amounts


@dataclass(frozen=True)
class Caller:
    """Which attempt of which step makes a call."""

    run_id: str
    step: str
    attempt: int


_LOCK = text(
    f"""
    INSERT INTO tenant_days (tenant, day) VALUES (:tenant, {TODAY})
    ON CONFLICT (tenant, day) DO UPDATE SET tenant = excluded.tenant
    RETURNING day
    """  # noqa: S608 - an expression of ours
)
# A later attempt of a step is only begun when the earlier one is dead.
_BOOK_DEAD = text(
    """
    WITH dead AS (
        DELETE FROM tenant_reservations
        WHERE tenant = :tenant
              AND (expires_at < clock_timestamp()
                   OR (run_id = :run_id AND step = :step AND attempt < :attempt))
        RETURNING day, tokens, cost_usd
    ), used AS (
        SELECT day, sum(tokens) AS tokens, sum(cost_usd) AS cost_usd, count(*) AS calls
        FROM dead GROUP BY day
    )
    UPDATE tenant_days days
    SET tokens = days.tokens + used.tokens, cost_usd = days.cost_usd + used.cost_usd,
        calls = days.calls + used.calls, updated_at = clock_timestamp()
    FROM used WHERE days.tenant = :tenant AND days.day = used.day
    """
)
_RESERVE = text(
    """
    INSERT INTO tenant_reservations (tenant, day, run_id, step, attempt, tokens, cost_usd,
                                     expires_at)
    VALUES (:tenant, :day, :run_id, :step, :attempt, :tokens, :cost_usd,
            clock_timestamp() + make_interval(secs => CAST(:seconds AS float8)))
    RETURNING reservation_id
    """
)
# The day is locked before the reservation, as `lock_day` does. One that is gone was booked as that
# of a dead call: its day has all that it may have used.
_SETTLE = text(
    """
    WITH locked AS (
        SELECT day FROM tenant_days WHERE tenant = :tenant AND day = :day FOR UPDATE
    ), gone AS (
        DELETE FROM tenant_reservations r USING locked
        WHERE r.reservation_id = :reservation RETURNING r.day
    )
    UPDATE tenant_days
    SET tokens = tokens + :tokens, cost_usd = cost_usd + :cost_usd, calls = calls + :calls,
        updated_at = clock_timestamp()
    WHERE tenant = :tenant AND day = :day AND EXISTS (SELECT FROM gone)
    """
)
_SPENT = """
    SELECT days.tenant, days.day, days.tokens, days.cost_usd, days.calls,
           coalesce(sum(r.tokens), 0) AS tokens_reserved,
           coalesce(sum(r.cost_usd), 0) AS cost_reserved, count(r.reservation_id) AS calls_reserved
    FROM tenant_days days LEFT JOIN tenant_reservations r USING (tenant, day)
"""
_DAY = text(
    f"{_SPENT} WHERE days.tenant = :tenant AND days.day = :day GROUP BY days.tenant, days.day"
)
_DAYS = text(
    f"""
    {_SPENT}
    WHERE days.day = {TODAY}
    GROUP BY days.tenant, days.day
    ORDER BY days.cost_usd DESC, days.tokens DESC, days.tenant
    """
)


async def lock_day(connection: AsyncConnection, tenant: str, caller: Caller) -> TenantDay:
    """Read a tenant's day, and keep others from reserving until the transaction ends."""
    day = await connection.scalar(_LOCK, {"tenant": tenant})
    await connection.execute(_BOOK_DEAD, {"tenant": tenant, **vars(caller)})
    return _day_of((await connection.execute(_DAY, {"tenant": tenant, "day": day})).one())


async def reserve(
    connection: AsyncConnection, day: TenantDay, caller: Caller, amounts: Amounts, seconds: float
) -> int:
    """Set aside what a call may use, for so many seconds at most; gives the reservation's id."""
    values = {
        "tenant": day.tenant,
        "day": day.day,
        "tokens": amounts.tokens,
        "cost_usd": amounts.cost_usd,
        "seconds": seconds,
        **vars(caller),
    }
    return int((await connection.execute(_RESERVE, values)).scalar_one())


async def settle(
    connection: AsyncConnection, day: TenantDay, reservation: int, used: Amounts
) -> None:
    """Book what a call has used in the place of what was set aside for it."""
    values = {"tenant": day.tenant, "day": day.day, "reservation": reservation, **vars(used)}
    await connection.execute(_SETTLE, values)


async def read_days(connection: AsyncConnection) -> list[TenantDay]:
    """What tenants have spent today, those that spent most first."""
    return [_day_of(row) for row in await connection.execute(_DAYS)]


def _day_of(row: Row[Any]) -> TenantDay:
    return TenantDay(
        row.tenant,
        row.day,
        Amounts(int(row.tokens), float(row.cost_usd), int(row.calls)),
        Amounts(int(row.tokens_reserved), float(row.cost_reserved), int(row.calls_reserved)),
    )
