"""The outbox of notifications: claim, send, mark.

Who sends a notification is not part of a transaction here, so it is claimed before it is sent
and marked afterwards. A claim without its mark may have been sent or not: it is uncertain, and
is sent again only if somebody said that twice is better than never.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Notification
from durable_agents.db.storable import storable
from durable_agents.models.base import Record
from durable_agents.models.errors import IdempotencyConflictError
from durable_agents.models.notifications import NotifyInput

LEFT_AFTER = timedelta(minutes=5)
"""A claim of this age was left behind: a send takes half a minute at most."""

Standing = Literal["claimed", "sent", "uncertain"]
Mark = Literal["sent", "failed", "uncertain"]


@dataclass(frozen=True)
class Claim:
    """Whose turn it is to send: ours (`claimed`), or nobody's, because of how it stands."""

    notification_id: int
    standing: Standing


class OutboxRecord(Record):
    """A notification as the database holds it."""

    notification_id: int
    key: str
    user_id: str
    title: str
    body: str
    status: str
    error: str


class OutboxCounts(Record):
    """How many notifications are sent, kept for want of an address, failed, and uncertain."""

    sent: int = 0
    kept: int = 0
    failed: int = 0
    uncertain: int = 0


async def claim(
    connection: AsyncConnection, request: NotifyInput, *, run_id: str, resend_uncertain: bool
) -> Claim:
    """Claim a notification for sending; needs a transaction.

    What failed before may be claimed again. What was claimed and never marked becomes
    uncertain, unless `resend_uncertain` says that it is to be sent again.

    Raises:
        IdempotencyConflictError: The key was used before for another notification.
    """
    new = await _insert(connection, request, run_id=run_id, status="sending")
    if new is not None:
        return Claim(new, "claimed")
    row = await _locked(connection, request)
    if row.status == "sent":
        return Claim(row.notification_id, "sent")
    if row.status in {"sending", "uncertain"} and not resend_uncertain:
        await mark(connection, row.notification_id, "uncertain")
        return Claim(row.notification_id, "uncertain")
    await _claim_again(connection, Notification.notification_id == row.notification_id)
    return Claim(row.notification_id, "claimed")


async def keep(connection: AsyncConnection, request: NotifyInput, *, run_id: str) -> None:
    """Keep a notification that has nowhere to go; a second delivery changes nothing."""
    await _insert(connection, request, run_id=run_id, status="pending")


async def mark(
    connection: AsyncConnection, notification_id: int, outcome: Mark, error: str = ""
) -> None:
    """Note what came of a claim. What was sent stays so."""
    sent_at = func.now() if outcome == "sent" else None
    await connection.execute(
        update(Notification)
        .where(Notification.notification_id == notification_id, Notification.status != "sent")
        .values(status=outcome, error=error, sent_at=sent_at)
    )


async def list_uncertain(connection: AsyncConnection, *, limit: int = 500) -> list[OutboxRecord]:
    """Notifications that may have been sent or not, oldest first."""
    found = await connection.execute(
        select(Notification).where(_uncertain()).order_by(Notification.notification_id).limit(limit)
    )
    return [OutboxRecord.model_validate(dict(row)) for row in found.mappings()]


async def claim_uncertain(connection: AsyncConnection, notification_id: int) -> bool:
    """Claim an uncertain notification for sending again; whether it was still uncertain."""
    return await _claim_again(
        connection, and_(Notification.notification_id == notification_id, _uncertain())
    )


async def count(connection: AsyncConnection) -> OutboxCounts:
    """How many notifications stand how."""
    numbers = func.count().filter
    found = await connection.execute(
        select(
            numbers(Notification.status == "sent").label("sent"),
            numbers(Notification.status == "pending").label("kept"),
            numbers(Notification.status == "failed").label("failed"),
            numbers(_uncertain()).label("uncertain"),
        )
    )
    return OutboxCounts.model_validate(dict(found.mappings().one()))


def _uncertain() -> ColumnElement[bool]:
    left = Notification.claimed_at < func.now() - LEFT_AFTER
    return or_(Notification.status == "uncertain", and_(Notification.status == "sending", left))


async def _insert(
    connection: AsyncConnection, request: NotifyInput, *, run_id: str, status: str
) -> int | None:
    """Add a notification; None when its key is there already."""
    return await connection.scalar(
        insert(Notification)
        .values(**request.model_dump(), run_id=run_id, status=status)
        .on_conflict_do_nothing(index_elements=[Notification.key])
        .returning(Notification.notification_id)
    )


async def _locked(connection: AsyncConnection, request: NotifyInput) -> OutboxRecord:
    """The row of a key, which nobody else can claim until the transaction ends."""
    found = await connection.execute(
        select(Notification).where(Notification.key == request.key).with_for_update()
    )
    row = OutboxRecord.model_validate(dict(found.mappings().one()))
    asked = (request.user_id, request.title, request.body)
    if (row.user_id, row.title, row.body) != tuple(map(storable, asked)):
        raise IdempotencyConflictError(
            f"The idempotency key {request.key} was used before for another notification: send "
            "the same again, or take another key."
        )
    return row


async def _claim_again(connection: AsyncConnection, which: ColumnElement[bool]) -> bool:
    claimed = await connection.execute(
        update(Notification).where(which).values(status="sending", error="", claimed_at=func.now())
    )
    return claimed.rowcount == 1
