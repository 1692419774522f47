"""Tickets for the people who support customers."""

from sqlalchemy import BigInteger, ScalarSelect, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.db.accounts import get_account
from durable_agents.db.engine import Database
from durable_agents.db.tables import Effect, Ticket
from durable_agents.models.base import Record
from durable_agents.models.tickets import FiledTicket, Priority


class TicketRequest(Record):
    """What a ticket is filed for."""

    subject: str
    description: str
    priority: Priority = "medium"
    account_id: str | None = None


async def file_ticket(
    database: Database,
    *,
    key: str,
    run_id: str,
    subject: str,
    description: str,
    priority: Priority = "medium",
    account_id: str | None = None,
    first_stands: bool = False,
) -> FiledTicket:
    """File a ticket, once for each key.

    Args:
        database: Where to.
        key: What the ticket is known by.
        run_id: The run that files it.
        subject: The issue in a few words.
        description: What happened, and what is asked for.
        priority: How soon people have to see it.
        account_id: The customer's account, if it is known.
        first_stands: Whether the key alone says what the ticket is about, so that the first one
            stands whatever a later request says.

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

    asked = {"ticket": key} if first_stands else request
    filed = await effects.once(database, key=key, request=asked, run_id=run_id, write=write)
    return FiledTicket.model_validate(filed)


async def find_ticket(connection: AsyncConnection, *, key: str) -> FiledTicket | None:
    """The ticket that stands under a key, as it is now."""
    query = select(Ticket).where(Ticket.ticket_id == _number_under(key))
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    return FiledTicket.model_validate({**row, "ticket_id": f"T-{row['ticket_id']}"})


async def raise_priority(connection: AsyncConnection, *, key: str, priority: Priority) -> None:
    """Give the ticket that stands under a key a higher priority; never a lower one."""
    lower = {"low": [], "medium": ["low"], "high": ["low", "medium"]}[priority]
    await connection.execute(
        update(Ticket)
        .where(Ticket.ticket_id == _number_under(key), Ticket.priority.in_(lower))
        .values(priority=priority)
    )


def _number_under(key: str) -> ScalarSelect[int]:
    """The number of the ticket that the ledger holds under a key."""
    known_by = func.substr(Effect.result["ticket_id"].astext, len("T-") + 1)
    query = select(cast(known_by, BigInteger))
    return query.where(Effect.key == key, Effect.closed_at.is_(None)).scalar_subquery()
