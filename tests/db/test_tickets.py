import asyncio
import uuid
from typing import Any

import pytest
from sqlalchemy import insert, select

from durable_agents.db.engine import Database
from durable_agents.db.tables import Account, Ticket
from durable_agents.db.tickets import (
    file_ticket,
    find_ticket,
    raise_priority,
)
from durable_agents.models.errors import IdempotencyConflictError, NotFoundError
from durable_agents.models.tickets import FiledTicket, Priority


@pytest.fixture
async def account_id(database: Database) -> str:
    account_id = f"A-{uuid.uuid4()}"
    row = {
        "account_id": account_id,
        "name": "N",
        "email": "n@example.com",
        "plan": "free",
        "city": "Oslo",
        "balance_usd": 0,
    }
    async with database.transaction() as connection:
        await connection.execute(insert(Account).values(row))
    return account_id


@pytest.fixture
def key() -> str:
    return f"test-{uuid.uuid4()}"


async def file(
    database: Database, key: str, account_id: str | None, subject: str = "No alerts"
) -> FiledTicket:
    return await file_ticket(
        database,
        key=key,
        run_id="run",
        subject=subject,
        description="Since Monday",
        priority="high",
        account_id=account_id,
    )


async def tickets_of(database: Database, account_id: str) -> list[dict[str, Any]]:
    """What stands in the table for an account."""
    query = select(Ticket).filter_by(account_id=account_id)
    async with database.statement() as connection:
        return [dict(row) for row in (await connection.execute(query)).mappings()]


async def test_a_ticket_is_kept_as_it_was_filed(
    database: Database, key: str, account_id: str
) -> None:
    filed = await file(database, key, account_id)

    (kept,) = await tickets_of(database, account_id)
    assert filed.ticket_id == f"T-{kept.pop('ticket_id')}"
    assert kept.pop("created_at") is not None
    assert kept == {
        "effect_key": key,
        "subject": "No alerts",
        "description": "Since Monday",
        "priority": "high",
        "status": "open",
        "account_id": account_id,
    }


async def test_deliveries_at_once_file_one_ticket(
    database: Database, key: str, account_id: str
) -> None:
    filed = await asyncio.gather(*(file(database, key, account_id) for _ in range(5)))

    (kept,) = await tickets_of(database, account_id)
    assert {ticket.ticket_id for ticket in filed} == {f"T-{kept['ticket_id']}"}


async def test_a_ticket_needs_no_account(database: Database, key: str) -> None:
    filed = await file(database, key, None)

    async with database.statement() as connection:
        assert await find_ticket(connection, key=key) == filed


async def test_an_account_that_is_not_there_files_nothing(
    database: Database, key: str, account_id: str
) -> None:
    with pytest.raises(NotFoundError, match="There is no account A-none"):
        await file(database, key, "A-none")

    filed = await file(database, key, account_id)  # the key was not used up
    assert filed.account_id == account_id


async def test_the_key_of_another_ticket_is_refused(
    database: Database, key: str, account_id: str
) -> None:
    await file(database, key, account_id)

    with pytest.raises(IdempotencyConflictError):
        await file(database, key, account_id, subject="Too many alerts")


async def test_where_the_first_stands_another_request_is_told_of_it(
    database: Database, key: str, account_id: str
) -> None:
    filed = [
        await file_ticket(
            database,
            key=key,
            run_id="run",
            subject=subject,
            description="Since Monday",
            account_id=account_id,
            first_stands=True,
        )
        for subject in ("No alerts", "Too many alerts")
    ]

    assert filed[0] == filed[1]
    (kept,) = await tickets_of(database, account_id)
    async with database.statement() as connection:
        found = await find_ticket(connection, key=key)
    assert (kept["subject"], found) == ("No alerts", filed[0])


async def test_no_ticket_is_found_under_a_key_that_was_not_used(
    database: Database, key: str
) -> None:
    async with database.statement() as connection:
        assert await find_ticket(connection, key=key) is None


@pytest.mark.parametrize(
    ("asked", "after"),
    [("low", "medium"), ("medium", "medium"), ("high", "high")],
)
async def test_a_priority_is_raised_and_never_lowered(
    database: Database, key: str, asked: Priority, after: Priority
) -> None:
    await file_ticket(database, key=key, run_id="run", subject="Lamp", description="Dark")

    async with database.transaction() as connection:
        await raise_priority(connection, key=key, priority=asked)

    async with database.statement() as connection:
        found = await find_ticket(connection, key=key)
    assert found is not None
    assert found.priority == after
