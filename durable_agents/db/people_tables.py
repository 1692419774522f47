"""The tables of people: who may sign in, by what, and who was refused.

Whatever lets somebody in (a link, a token, a session) is kept as the SHA-256 of a random text
that is shown once; reading the database lets nobody in.
"""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Identity, Index, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from durable_agents.db.tables import NOW, Base


class User(Base):
    """A person. Nobody is ever deleted, because decisions name them: they are disabled.

    `password_hash` is argon2id in its standard form; empty means that no password lets them in.
    """

    __tablename__ = "users"

    user_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    password_hash: Mapped[str] = mapped_column(server_default="")
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    disabled: Mapped[bool] = mapped_column(Boolean, server_default="false")
    session_epoch: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class OneTimeLink(Base):
    """A link that lets a person in once."""

    __tablename__ = "one_time_links"
    __table_args__ = (Index("one_time_links_user", "user_id"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiToken(Base):
    """What lets a person's commands and scripts act for them, until it is revoked."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index("api_tokens_user", "user_id"),)

    token_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Session(Base):
    """A browser that is signed in. It ends by `ended_at`, by time, or by a newer epoch."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_user", "user_id"),
        Index("sessions_expires", "expires_at"),
    )

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    epoch: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """An attempt to sign in: `failed` until it is known to have `succeeded` or been `refused`.

    The name is kept as its SHA-256: people type passwords into the wrong field.
    """

    __tablename__ = "sign_in_attempts"
    __table_args__ = (
        Index("sign_in_attempts_address", "address", "at"),
        Index("sign_in_attempts_name", "name_digest", "at"),
        Index("sign_in_attempts_at", "at"),
    )

    attempt_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name_digest: Mapped[str]
    address: Mapped[str]
    outcome: Mapped[str] = mapped_column(server_default="failed")
    at: Mapped[datetime] = mapped_column(server_default=NOW)


class Denial(Base):
    """What somebody was refused: who, what, why, from where."""

    __tablename__ = "denials"
    __table_args__ = (Index("denials_at", "at"),)

    denial_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    who: Mapped[str]
    what: Mapped[str]
    why: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=NOW)
