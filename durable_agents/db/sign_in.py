"""Signing in with name and password, with a limit that holds over all processes.

An attempt is written down as failed before its password is looked at, and those of the last
quarter of an hour are counted then: of any number that come at the same moment no more than the
limit gets that far. The cost is the same whether or not there is anybody of the name.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.engine import Database
from durable_agents.db.passwords import hash_password, is_outdated, verify_password
from durable_agents.db.people import COLUMNS, person_of
from durable_agents.db.people_tables import SignInAttempt, User
from durable_agents.db.tables import NOW
from durable_agents.models.people import Person

WINDOW = timedelta(minutes=15)
KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Limits:
    """How many attempts may fail within the window.

    The one for a name from anywhere is high, so that a stranger cannot lock somebody out easily.
    """

    name_and_address: int = 5
    address: int = 20
    name: int = 100


class SignInFailure(Enum):
    """Why somebody is not signed in; the page says only which of the two it is."""

    WRONG = "wrong name or password"
    TOO_MANY = "too many attempts"


LIMITS = Limits()


async def sign_in(
    database: Database, name: str, password: str, address: str, limits: Limits = LIMITS
) -> Person | SignInFailure:
    """See who somebody is.

    Args:
        database: Where people are.
        name: What they say their name is.
        password: Their password.
        address: Where they come from, as the limit counts it.
        limits: How many attempts may fail.
    """
    asked, place = name.strip().lower(), counted_address(address)
    digest = hashlib.sha256(asked.encode("utf-8", "replace")).hexdigest()
    async with database.statement() as connection:
        attempt_id = await _write_down(connection, digest, place)
        if await _is_over(connection, digest, place, limits):
            await _settle(connection, attempt_id, "refused")
            return SignInFailure.TOO_MANY
        query = select(*COLUMNS, User.password_hash).where(User.name == asked)
        row = (await connection.execute(query)).mappings().one_or_none()
    usable = row is not None and not row["disabled"]
    kept = str(row["password_hash"]) if row is not None and usable else ""
    if not await verify_password(kept, password) or row is None:
        return SignInFailure.WRONG
    person = person_of(row)
    renewed = await hash_password(password) if is_outdated(kept) else ""
    async with database.statement() as connection:
        await _settle(connection, attempt_id, "succeeded")
        if renewed:
            await _renew(connection, person.user_id, kept, renewed)
    return person


def counted_address(address: str) -> str:
    """The address as it is counted: of IPv6 the first 64 bits, which one household has."""
    try:
        parsed = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return address[:100]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


async def _write_down(connection: AsyncConnection, digest: str, address: str) -> int:
    await connection.execute(delete(SignInAttempt).where(SignInAttempt.at < NOW - KEPT_FOR))
    statement = insert(SignInAttempt).values(name_digest=digest, address=address)
    return int(await connection.scalar(statement.returning(SignInAttempt.attempt_id)) or 0)


async def _is_over(connection: AsyncConnection, digest: str, address: str, limits: Limits) -> bool:
    by_name, by_address = SignInAttempt.name_digest == digest, SignInAttempt.address == address
    recent = and_(SignInAttempt.outcome == "failed", SignInAttempt.at > NOW - WINDOW)
    for which, most in (
        (and_(by_name, by_address), limits.name_and_address),
        (by_address, limits.address),
        (by_name, limits.name),
    ):
        if await _count(connection, and_(which, recent)) > most:
            return True
    return False


async def _count(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    return int(await connection.scalar(select(func.count()).where(which)) or 0)


async def _settle(connection: AsyncConnection, attempt_id: int, outcome: str) -> None:
    await connection.execute(
        update(SignInAttempt).where(SignInAttempt.attempt_id == attempt_id).values(outcome=outcome)
    )


async def _renew(connection: AsyncConnection, user_id: int, kept: str, renewed: str) -> None:
    """Replace a hash of older parameters, unless the password was changed meanwhile."""
    await connection.execute(
        update(User)
        .where(User.user_id == user_id, User.password_hash == kept)
        .values(password_hash=renewed)
    )
