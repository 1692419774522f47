"""The tables of the payload store, and of the keys that encrypt payloads."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from durable_agents.db.tables import NOW, Base


class StoredPayload(Base):
    """The bytes of a payload that is too large for a history; they are encrypted where keys are.

    `address` is the SHA-256 of `content` in hexadecimal. A namespace has its own rows, because
    its runs decide how long they are kept. `last_used` is noted once an hour at most.
    """

    __tablename__ = "payloads"
    __table_args__ = (Index("payloads_last_used", "namespace", "last_used"),)

    namespace: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int] = mapped_column(Integer)
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    last_used: Mapped[datetime] = mapped_column(server_default=NOW)


class UsedKey(Base):
    """A key that workers of a namespace have encrypted with; never the key itself.

    `fingerprint` tells apart two keys that were given the same id.
    """

    __tablename__ = "payload_keys"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    first_used: Mapped[datetime] = mapped_column(server_default=NOW)
