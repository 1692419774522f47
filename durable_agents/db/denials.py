"""Who was refused what, and why: kept for a while, for those who look after the service."""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.people_tables import Denial
from durable_agents.db.tables import NOW
from durable_agents.models.base import Record

KEPT_FOR = timedelta(days=90)
LONGEST = 200  # characters of each text


class DenialRecord(Record):
    """Something that was refused. `who` is a name, as far as one is known."""

    who: str
    what: str
    why: str
    address: str
    at: datetime


async def record_denial(
    connection: AsyncConnection, *, who: str, what: str, why: str, address: str
) -> None:
    """Write down that somebody was refused."""
    texts = {"who": who, "what": what, "why": why, "address": address}
    values = {name: text[:LONGEST] for name, text in texts.items()}
    await connection.execute(insert(Denial).values(**values))


async def list_denials(connection: AsyncConnection, *, limit: int = 50) -> list[DenialRecord]:
    """The latest denials, the newest first."""
    query = select(Denial).order_by(Denial.denial_id.desc()).limit(limit)
    found = (await connection.execute(query)).mappings()
    return [DenialRecord.model_validate(dict(row)) for row in found]


async def forget_old_denials(connection: AsyncConnection) -> None:
    """Delete what is older than it is kept."""
    await connection.execute(delete(Denial).where(Denial.at < NOW - KEPT_FOR))
