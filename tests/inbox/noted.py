"""Reads what was noted of those who were refused."""

from durable_agents.db.denials import DenialRecord, list_denials
from durable_agents.db.engine import Database


async def denied(database: Database, address: str) -> list[DenialRecord]:
    async with database.statement() as connection:
        found = await list_denials(connection, limit=500)
    return [one for one in found if one.address == address]
