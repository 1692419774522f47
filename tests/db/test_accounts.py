import uuid

import pytest
from sqlalchemy import insert

from durable_agents.db.accounts import AccountRecord, get_account
from durable_agents.db.engine import Database
from durable_agents.db.tables import Account
from durable_agents.models.errors import NotFoundError


async def test_an_account_is_read_as_it_was_written(database: Database) -> None:
    account = AccountRecord(
        account_id=f"A-{uuid.uuid4()}",
        name="Zoë Ōta",
        email="zoe@example.com",
        plan="plus",
        city="Oslo",
        balance_usd=-12.34,
    )
    async with database.transaction() as connection:
        await connection.execute(insert(Account).values(account.model_dump()))

    async with database.statement() as connection:
        found = await get_account(connection, account.account_id)

    assert found == account


async def test_an_account_that_is_not_there_is_named(database: Database) -> None:
    async with database.statement() as connection:
        with pytest.raises(NotFoundError, match="There is no account A-none"):
            await get_account(connection, "A-none")
