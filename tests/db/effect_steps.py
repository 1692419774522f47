"""What the tests of the ledger do with a key, and what they see of it afterwards."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.db.engine import Database
from durable_agents.db.tables import Effect, Ticket

Write = Callable[[AsyncConnection], Awaitable[effects.JSON]]


class BrokenError(Exception):
    """What a write raises that fails on purpose."""


def ticket(key: str, name: str, *, pause_s: float = 0, fails: bool = False) -> Write:
    """A write that others would notice twice: it leaves a row behind."""

    async def write(connection: AsyncConnection) -> effects.JSON:
        row = {"subject": name, "description": "", "priority": "low", "effect_key": key}
        await connection.execute(insert(Ticket).values(row))
        await asyncio.sleep(pause_s)
        if fails:
            raise BrokenError
        return {"name": name}

    return write


async def once(database: Database, key: str, write: Write, request: str = "a") -> effects.JSON:
    return await effects.once(database, key=key, request=request, run_id="run", write=write)


async def close(
    database: Database, key: str, *, pause_s: float = 0, fails: bool = False
) -> int | None:
    """A compensation: what it does besides takes a while, and may fail."""
    async with database.transaction() as connection:
        generation = await effects.close(connection, key=key)
        await asyncio.sleep(pause_s)
        if fails:
            raise BrokenError
    return generation


async def written(database: Database, key: str) -> list[str]:
    async with database.statement() as connection:
        rows = await connection.scalars(
            select(Ticket.subject).where(Ticket.effect_key == key).order_by(Ticket.ticket_id)
        )
        return list(rows)


async def generations(database: Database, key: str) -> list[tuple[int, str, bool]]:
    """Each generation of a key: its number, its result, and whether it is open."""
    async with database.statement() as connection:
        rows = await connection.execute(
            select(Effect.generation, Effect.result, Effect.closed_at)
            .where(Effect.key == key)
            .order_by(Effect.generation)
        )
        return [(row.generation, row.result["name"], row.closed_at is None) for row in rows]
