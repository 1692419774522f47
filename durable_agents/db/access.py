"""What lets a person in: one-time links, tokens for the command line, sessions of a browser.

Each is a random text of 256 bits that is shown once; the database keeps its SHA-256 alone, which
needs no salt and no slow hash because nobody can guess such a text.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.people import COLUMNS, person_of
from durable_agents.db.people_tables import ApiToken, OneTimeLink, Session, User
from durable_agents.db.tables import NOW
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError
from durable_agents.models.people import Person

TOKEN_PREFIX = "da_"  # noqa: S105 - so that a scanner for leaked secrets finds ours
LINK_LASTS = timedelta(hours=24)
SESSION_LASTS = timedelta(hours=12)
LONGEST_LABEL = 100
LONGEST_SECRET = 200
USE_NOTED_EVERY = timedelta(minutes=1)
KEPT_AFTER_ITS_END = timedelta(days=30)


class TokenRecord(Record):
    """A token as its owner may see it."""

    token_id: int
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def digest_of_secret(secret: str) -> str:
    """What the database keeps of a link, a token or a session."""
    return hashlib.sha256(secret[:LONGEST_SECRET].encode("utf-8", "replace")).hexdigest()


async def create_link(
    connection: AsyncConnection, user_id: int, *, lasts: timedelta = LINK_LASTS
) -> str:
    """Make a link that lets a person in once; the ones before it that were not used end.

    Returns:
        The secret of its address, which is kept nowhere.
    """
    secret = secrets.token_urlsafe(32)
    await connection.execute(
        delete(OneTimeLink).where(OneTimeLink.user_id == user_id, OneTimeLink.used_at.is_(None))
    )
    await connection.execute(
        insert(OneTimeLink).values(
            digest=digest_of_secret(secret), user_id=user_id, expires_at=NOW + lasts
        )
    )
    return secret


async def find_link(connection: AsyncConnection, secret: str) -> Person | None:
    """Whom a link lets in; None when it was used, is over, or never was."""
    query = (
        select(*COLUMNS)
        .join(OneTimeLink, OneTimeLink.user_id == User.user_id)
        .where(*_usable(secret), ~User.disabled)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return person_of(row) if row is not None else None


async def use_link(connection: AsyncConnection, secret: str) -> Person | None:
    """Use a link up, in the transaction of what it is used for.

    Two that come at the same moment wait for each other here: one of them gets None.
    """
    statement = update(OneTimeLink).where(*_usable(secret)).values(used_at=NOW)
    user_id = await connection.scalar(statement.returning(OneTimeLink.user_id))
    if user_id is None:
        return None
    query = select(*COLUMNS).where(User.user_id == user_id, ~User.disabled)
    row = (await connection.execute(query)).mappings().one_or_none()
    return person_of(row) if row is not None else None


def _usable(secret: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeLink.digest == digest_of_secret(secret),
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > NOW,
    )


async def create_token(
    connection: AsyncConnection, user_id: int, *, label: str = "", lasts: timedelta | None = None
) -> str:
    """Make a token for commands and scripts; gives it, and keeps only its digest."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await connection.execute(
        insert(ApiToken).values(
            digest=digest_of_secret(secret),
            user_id=user_id,
            label=" ".join(label.split())[:LONGEST_LABEL],
            expires_at=NOW + lasts if lasts is not None else None,
        )
    )
    return secret


async def person_of_token(connection: AsyncConnection, secret: str) -> Person | None:
    """Whose token this is; None when it is revoked, over or unknown, or the person is disabled."""
    usable = (
        ApiToken.digest == digest_of_secret(secret),
        ApiToken.revoked_at.is_(None),
        or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > NOW),
    )
    query = (
        select(*COLUMNS)
        .join(ApiToken, ApiToken.user_id == User.user_id)
        .where(*usable, ~User.disabled)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    long_ago = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < NOW - USE_NOTED_EVERY)
    await connection.execute(update(ApiToken).where(*usable, long_ago).values(last_used_at=NOW))
    return person_of(row)


async def list_tokens(connection: AsyncConnection, user_id: int) -> list[TokenRecord]:
    """A person's tokens, the newest first."""
    query = select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.token_id.desc())
    found = (await connection.execute(query)).mappings()
    return [TokenRecord.model_validate(dict(row)) for row in found]


async def revoke_token(connection: AsyncConnection, user_id: int, token_id: int) -> None:
    """End a token of a person; harmless when it is revoked already.

    Raises:
        NotFoundError: They have no such token.
    """
    statement = (
        update(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.token_id == token_id)
        .values(revoked_at=func.coalesce(ApiToken.revoked_at, NOW))
    )
    if not (await connection.execute(statement.returning(ApiToken.token_id))).all():
        raise NotFoundError(
            f"There is no token {token_id} of this user; `durable-agents users token NAME --list` "
            "shows those there are."
        )


async def begin_session(
    connection: AsyncConnection, person: Person, *, lasts: timedelta = SESSION_LASTS
) -> str:
    """Begin a session; gives its secret. Sessions long over are forgotten by the way."""
    secret = secrets.token_urlsafe(32)
    await connection.execute(delete(Session).where(Session.expires_at < NOW - KEPT_AFTER_ITS_END))
    await connection.execute(
        insert(Session).values(
            digest=digest_of_secret(secret),
            user_id=person.user_id,
            epoch=person.session_epoch,
            expires_at=NOW + lasts,
        )
    )
    return secret


async def person_of_session(connection: AsyncConnection, secret: str) -> Person | None:
    """Whose session this is; None when it ended, or the person is disabled."""
    query = (
        select(*COLUMNS)
        .join(Session, Session.user_id == User.user_id)
        .where(
            Session.digest == digest_of_secret(secret),
            Session.epoch == User.session_epoch,
            Session.expires_at > NOW,
            Session.ended_at.is_(None),
            ~User.disabled,
        )
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return person_of(row) if row is not None else None


async def end_session(connection: AsyncConnection, secret: str) -> None:
    """End a session; harmless when it has ended."""
    await connection.execute(
        update(Session)
        .where(Session.digest == digest_of_secret(secret), Session.ended_at.is_(None))
        .values(ended_at=NOW)
    )
