"""The tables of what people decide: requests, and every decision that was tried."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Identity, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from durable_agents.db.tables import NOW, Base


class ApprovalRequest(Base):
    """A request for a decision on one content: a revision of a text, or a call of a tool.

    `status` is pending, approved, rejected, expired, or withdrawn when the run ended before
    anyone decided; `feedback` then says how it ended. `digest` is that of run, step, revision and
    content. What a person made of the content before approving is in the `edited_…` columns.
    `reviewer` is a name or a role; empty is anybody with the role `reviewer`.
    """

    __tablename__ = "approval_requests"
    __table_args__ = (
        UniqueConstraint("run_id", "step", "digest"),
        Index("approval_requests_status", "status", "request_id"),
        Index("approval_requests_workflow", "workflow_id", "step"),
        Index("approval_requests_decided", text("decided_at DESC")),
    )

    request_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    workflow_id: Mapped[str]
    run_id: Mapped[str]
    step: Mapped[str]
    digest: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str]
    title: Mapped[str]
    asked_by: Mapped[str] = mapped_column(server_default="")
    for_whom: Mapped[str] = mapped_column(server_default="")
    consequences: Mapped[str] = mapped_column(server_default="")
    content: Mapped[str] = mapped_column(server_default="")
    tool: Mapped[str] = mapped_column(server_default="")
    arguments: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    previous_id: Mapped[int | None]
    four_eyes: Mapped[bool] = mapped_column(Boolean, server_default="false")
    verified_only: Mapped[bool] = mapped_column(Boolean, server_default="false")
    needed: Mapped[int] = mapped_column(Integer, server_default="1")
    reviewer: Mapped[str] = mapped_column(server_default="")
    escalate_to: Mapped[str] = mapped_column(server_default="")
    default_verdict: Mapped[str] = mapped_column(server_default="")
    remind_at: Mapped[datetime | None]
    escalate_at: Mapped[datetime | None]
    closes_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    decided_by: Mapped[str] = mapped_column(server_default="")
    decided_at: Mapped[datetime | None]
    verified: Mapped[bool] = mapped_column(Boolean, server_default="false")
    via: Mapped[str] = mapped_column(server_default="")
    feedback: Mapped[str] = mapped_column(server_default="")
    edited_content: Mapped[str | None]
    edited_arguments: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ApprovalDecision(Base):
    """A decision that somebody tried to make; `reason` says why it did not count.

    `number` counts those that reached the run. One that the run refused to its sender at once is
    written down by the sender, and has none.
    """

    __tablename__ = "approval_decisions"
    __table_args__ = (UniqueConstraint("request_id", "number"),)

    decision_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    request_id: Mapped[int] = mapped_column(
        ForeignKey("approval_requests.request_id", ondelete="CASCADE")
    )
    number: Mapped[int | None] = mapped_column(Integer)
    verdict: Mapped[str]
    by: Mapped[str]
    verified: Mapped[bool] = mapped_column(Boolean, server_default="false")
    via: Mapped[str] = mapped_column(server_default="")
    counted: Mapped[bool] = mapped_column(Boolean, server_default="false")
    feedback: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime] = mapped_column(server_default=NOW)
