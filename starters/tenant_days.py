"""What tenants have spent today of what they may spend in a day, for `doctor`."""

from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import Amounts, TenantDay, read_days
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from workers.resources import daily_limits

SHOWN = 5


def limits_days(settings: Settings) -> bool:
    """Whether any tenant's day is limited."""
    limits = daily_limits(settings)
    return bool(limits.tokens or limits.usd or limits.calls)


async def look_at_days(settings: Settings) -> str:
    """Tell of whom most is used up today (UTC), by the limits that there are."""
    limits = daily_limits(settings)
    database = Database(database_url(settings), pool_size=1)
    try:
        async with database.statement() as connection:
            days = await read_days(connection)
    finally:
        await database.close()
    limited = [(day, of) for day in days if (of := limits.of(day.tenant)) is not None]
    limited.sort(key=lambda found: _share(*found), reverse=True)
    told = [told_of(day, of) for day, of in limited[:SHOWN]]
    more = [f"and {len(limited) - SHOWN} more"] if len(limited) > SHOWN else []
    return "; ".join([*told, *more]) or "nothing is spent today"


def told_of(day: TenantDay, limits: Amounts) -> str:
    """What a tenant has spent of its limits."""
    parts = [
        f"{spent:{form}} of {limit:{form}} {unit}"
        for spent, limit, form, unit in (
            (day.spent.tokens, limits.tokens, ",", "tokens"),
            (day.spent.cost_usd, limits.cost_usd, ",.4g", "US dollars"),
            (day.spent.calls, limits.calls, ",", "calls"),
        )
        if limit
    ]
    under_way = f", {day.reserved.calls} under way" if day.reserved.calls else ""
    return f"{day.tenant or '(no tenant)'} {' and '.join(parts)}{under_way}"


def _share(day: TenantDay, limits: Amounts) -> float:
    """How much of the limit that is nearest is used up."""
    pairs = (
        (day.spent.tokens, limits.tokens),
        (day.spent.cost_usd, limits.cost_usd),
        (day.spent.calls, limits.calls),
    )
    return max(spent / limit for spent, limit in pairs if limit)
