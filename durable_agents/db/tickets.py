"""Tickets for the people who support customers."""

from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import RowMapping, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.db.accounts import get_account
from durable_agents.db.engine import Database
from durable_agents.db.tables import Ticket
from durable_agents.models.base import Record

Priority: TypeAlias = Literal["low", "medium", "high"]


class TicketRequest(Record):
    """What a ticket is filed for."""

    subject: str
    description: str
    priority: Priority = "medium"
    account_id: str | None = None


class FiledTicket(Record):
    """A ticket that was filed, by the number that people know it by (T-12)."""

    ticket_id: str
    subject: str
    priority: Priority
    account_id: str | None = None


class TicketRecord(FiledTicket):
    """A ticket as the database holds it."""

    description: str
    status: str
    created_at: datetime


async def file_ticket(
    database: Database,
    *,
    key: str,
    run_id: str,
    subject: str,
    description: str,
    priority: Priority = "medium",
    account_id: str | None = None,
) -> FiledTicket:
    """File a ticket, once for each key.

    Raises:
        NotFoundError: There is no account of this id.
        IdempotencyConflictError: The key was used before for another ticket.
    """
    request = TicketRequest(
        subject=subject, description=description, priority=priority, account_id=account_id
    )

    async def write(connection: AsyncConnection) -> effects.JSON:
        if account_id is not None:
            await get_account(connection, account_id)
        number = await connection.scalar(
            insert(Ticket)
            .values(**request.model_dump(), effect_key=key)
            .returning(Ticket.ticket_id)
        )
        return {**request.model_dump(exclude={"description"}), "ticket_id": f"T-{number}"}

    filed = await effects.once(database, key=key, request=request, run_id=run_id, write=write)
    return FiledTicket.model_validate(filed)


async def list_tickets(
    connection: AsyncConnection, *, account_id: str | None = None, limit: int = 50
) -> list[TicketRecord]:
    """The latest tickets, newest first; those of one account if it is named."""
    query = select(Ticket).order_by(Ticket.ticket_id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(Ticket.account_id == account_id)
    return [_record(row) for row in (await connection.execute(query)).mappings()]


def _record(row: RowMapping) -> TicketRecord:
    values: dict[str, Any] = dict(row)
    return TicketRecord.model_validate(values | {"ticket_id": f"T-{row['ticket_id']}"})
