"""The tables of what tenants spend in a day."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, Double, Identity, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from durable_agents.db.tables import NOW, Base


class TenantDay(Base):
    """What the model calls of a tenant have used on a day (UTC); calls under way are not in it."""

    __tablename__ = "tenant_days"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost_usd: Mapped[float] = mapped_column(Double, server_default="0")
    calls: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class TenantReservation(Base):
    """What a model call that is under way may use at most; it stands until `expires_at`.

    A later attempt of the same step takes the place of an earlier one, which is dead by then.
    """

    __tablename__ = "tenant_reservations"
    __table_args__ = (Index("tenant_reservations_day", "tenant", "day"),)

    reservation_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant: Mapped[str]
    day: Mapped[date] = mapped_column(Date)
    run_id: Mapped[str]
    step: Mapped[str]
    attempt: Mapped[int] = mapped_column(Integer)
    tokens: Mapped[int] = mapped_column(BigInteger)
    cost_usd: Mapped[float] = mapped_column(Double)
    expires_at: Mapped[datetime]
