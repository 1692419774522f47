"""The tables of single flows: orders and payments, notifications, and what flows save.

What records the state of a run is keyed by the run; what others would notice twice is guarded by
the table of effects.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, Integer, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from durable_agents.db.tables import NOW, Base


class Product(Base):
    """Something to sell, and how many of it are in stock and not reserved."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    price_usd: Mapped[float] = mapped_column(Numeric(12, 2, asdecimal=False))
    stock: Mapped[int] = mapped_column(Integer)


class Order(Base):
    """An order of one product.

    `status` is new, reserved, charged, fulfilled, undoing or cancelled; `fulfilment` is `fails`
    for an order of the sample data that the warehouse refuses. `card` is a token of the gateway,
    never a number.
    """

    __tablename__ = "orders"

    order_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    sku: Mapped[str] = mapped_column(ForeignKey("products.sku"))
    quantity: Mapped[int] = mapped_column(Integer)
    card: Mapped[str]
    fulfilment: Mapped[str] = mapped_column(server_default="works")
    status: Mapped[str] = mapped_column(server_default="new")
    confirmation: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Payment(Base):
    """A charge in the ledger: one for an order and a generation of its key.

    `status` is charged, refunded or declined.
    """

    __tablename__ = "payments"
    __table_args__ = (UniqueConstraint("order_id", "generation"),)

    payment_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    order_id: Mapped[str]
    generation: Mapped[int] = mapped_column(Integer)
    amount_usd: Mapped[float] = mapped_column(Numeric(12, 2, asdecimal=False))
    card: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    refunded_at: Mapped[datetime | None]


class Refund(Base):
    """The refund of a charge of an order, from when the charge is closed until it is settled.

    `workflow_id` in `namespace` names who is at it, `run_id` the first run of its chain, which a
    reset keeps.
    While `settled_at` is empty nobody knows that the money is back. `outcome` then is refunded,
    nothing (there was nothing to give back), or abandoned: `decided_by` gave it up, for `reason`.
    `reservation` is the generation of the stock that was held for the order.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        Index("refunds_open", "touched_at", postgresql_where=text("settled_at IS NULL")),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    reservation: Mapped[int] = mapped_column(Integer, server_default="0")
    payment: Mapped[str] = mapped_column(server_default="")
    namespace: Mapped[str]
    workflow_id: Mapped[str]
    run_id: Mapped[str]
    outcome: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    decided_by: Mapped[str] = mapped_column(server_default="")
    began_at: Mapped[datetime] = mapped_column(server_default=NOW)
    touched_at: Mapped[datetime] = mapped_column(server_default=NOW)
    settled_at: Mapped[datetime | None]


class Notification(Base):
    """The outbox of notifications.

    `status` is pending, sending, sent, failed or uncertain: a claim (`sending`) that a crash
    left without its mark is uncertain, and sent again only by setting.
    """

    __tablename__ = "notifications"
    __table_args__ = (Index("notifications_status", "status"),)

    notification_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    error: Mapped[str] = mapped_column(server_default="")
    run_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    claimed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    sent_at: Mapped[datetime | None]


class Interaction(Base):
    """A message that was routed: to whom, how sure, and the reply."""

    __tablename__ = "interactions"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    message: Mapped[str]
    intent: Mapped[str]
    confidence: Mapped[float]
    agent: Mapped[str]
    reply: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Analysis(Base):
    """What the analysis of a document found; `missing` names the branches that failed."""

    __tablename__ = "analyses"
    __table_args__ = (Index("analyses_document", "document_id", "created_at"),)

    run_id: Mapped[str] = mapped_column(primary_key=True)
    document_id: Mapped[str] = mapped_column(
        ForeignKey("documents.document_id", ondelete="CASCADE")
    )
    result: Mapped[dict[str, Any]] = mapped_column(JSONB)
    missing: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class SectionNote(Base):
    """What one branch of an analysis says of one section; keyed by run, branch and section."""

    __tablename__ = "section_notes"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    branch: Mapped[str] = mapped_column(primary_key=True)
    section: Mapped[int] = mapped_column(Integer, primary_key=True)
    note: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Report(Base):
    """A report of research."""

    __tablename__ = "reports"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    query: Mapped[str]
    report: Mapped[str]
    confidence: Mapped[float]
    rounds: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Draft(Base):
    """A text that steps hand on by reference: a finding, a draft, a review, a revision."""

    __tablename__ = "drafts"
    __table_args__ = (UniqueConstraint("run_id", "step"),)

    draft_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[str]
    step: Mapped[str]
    kind: Mapped[str]
    content: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
