"""Customers' accounts."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.tables import Account
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError


class AccountRecord(Record):
    """A customer as the database holds it; the balance is in US dollars."""

    account_id: str
    name: str
    email: str
    plan: str
    city: str
    balance_usd: float = 0.0
    status: str = "active"


async def get_account(connection: AsyncConnection, account_id: str) -> AccountRecord:
    """Read one account.

    Raises:
        NotFoundError: There is none of this id.
    """
    found = await connection.execute(select(Account).where(Account.account_id == account_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"There is no account {account_id}. Check the id and ask again.")
    return AccountRecord.model_validate(dict(row))
