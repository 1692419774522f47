"""The tables of the work pools, of quotas, and of what is ingested."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from durable_agents.db.tables import NOW, Base

QUEUED = sql("status = 'queued'")
DELAYED = sql("status = 'delayed'")
RUNNING = sql("status = 'running'")
TO_TELL = sql("tell_at IS NOT NULL")
KEYED = sql("key IS NOT NULL")
BATCHED = sql("batch IS NOT NULL")
FINISHED = sql("finished_at IS NOT NULL")


class Pool(Base):
    """A work pool: at most `max_parallelism` of its jobs run at once, none while it is paused.

    Its lanes run in one Temporal namespace, that of whoever woke them first: lanes of two would
    run twice as many jobs.
    """

    __tablename__ = "pools"

    pool: Mapped[str] = mapped_column(primary_key=True)
    max_parallelism: Mapped[int] = mapped_column(Integer, server_default="10")
    is_paused: Mapped[bool] = mapped_column(Boolean, server_default="false")
    retention_s: Mapped[int] = mapped_column(Integer, server_default="604800")
    namespace: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class PoolLane(Base):
    """A lane of a pool: the workflow that runs one job at a time. It is asleep when it ended.

    `turn` is the clock of the lane's run, in microseconds, at its latest claim: an older claim,
    of a step that was overtaken, is refused. A lane that waits for delayed jobs `wakes_at`.
    """

    __tablename__ = "pool_lanes"

    pool: Mapped[str] = mapped_column(
        ForeignKey("pools.pool", ondelete="CASCADE"), primary_key=True
    )
    lane: Mapped[int] = mapped_column(Integer, primary_key=True)
    state: Mapped[str] = mapped_column(server_default="asleep")  # awake, waiting or asleep
    turn: Mapped[int] = mapped_column(BigInteger, server_default="0")
    wakes_at: Mapped[datetime | None]
    changed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class PoolShare(Base):
    """How far a tenant's jobs of one priority reach in the pool's virtual time."""

    __tablename__ = "pool_shares"

    pool: Mapped[str] = mapped_column(
        ForeignKey("pools.pool", ondelete="CASCADE"), primary_key=True
    )
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    tenant: Mapped[str] = mapped_column(primary_key=True)
    reached: Mapped[float] = mapped_column(Double)


class JobBatch(Base):
    """Jobs that belong together, and whom to tell when all of them are finished.

    That is due at `tell_at`, which moves on while somebody is at it.
    """

    __tablename__ = "job_batches"
    __table_args__ = (Index("job_batches_to_tell", "pool", "tell_at", postgresql_where=TO_TELL),)

    batch: Mapped[str] = mapped_column(primary_key=True)
    pool: Mapped[str] = mapped_column(ForeignKey("pools.pool", ondelete="CASCADE"))
    about: Mapped[str] = mapped_column(server_default="")
    fingerprint: Mapped[str] = mapped_column(server_default="")
    sealed: Mapped[bool] = mapped_column(Boolean, server_default="false")
    on_complete: Mapped[Any | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    tell_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]


class Job(Base):
    """A piece of work for a pool.

    `status` is queued, delayed (until `not_before`), running, done, failed or cancelled. `rank`
    orders the jobs of one priority so that tenants take turns by their weight. `fence` counts
    how often the job was handed out: what an older holder wants to write is refused. `claim`
    names the lane's run and step that holds it. Who waits for its end is told at `tell_at`, which
    moves on while somebody is at it. `traceparent` is the span that put it in.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_queued", "pool", "priority", "rank", "job_id", postgresql_where=QUEUED),
        Index("jobs_delayed", "pool", "not_before", postgresql_where=DELAYED),
        Index("jobs_running", "pool", "lane", postgresql_where=RUNNING),
        Index("jobs_claim", "claim", unique=True, postgresql_where=RUNNING),
        Index("jobs_key", "pool", "key", unique=True, postgresql_where=KEYED),
        Index("jobs_batch", "batch", "status", postgresql_where=BATCHED),
        Index("jobs_to_tell", "pool", "tell_at", postgresql_where=TO_TELL),
        Index("jobs_finished", "finished_at", postgresql_where=FINISHED),
    )

    job_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    pool: Mapped[str] = mapped_column(ForeignKey("pools.pool", ondelete="CASCADE"))
    kind: Mapped[str]
    key: Mapped[str | None]
    batch: Mapped[str | None]
    tenant: Mapped[str] = mapped_column(server_default="")
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="3")
    weight: Mapped[float] = mapped_column(Double, server_default="1")
    rank: Mapped[float] = mapped_column(Double)
    payload: Mapped[Any] = mapped_column(JSONB)
    about: Mapped[str] = mapped_column(server_default="")
    retry: Mapped[Any | None] = mapped_column(JSONB)
    timeout_s: Mapped[float] = mapped_column(Double, server_default="300")
    on_complete: Mapped[Any | None] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(server_default="queued")
    not_before: Mapped[datetime | None]
    lane: Mapped[int | None] = mapped_column(Integer)
    claim: Mapped[str | None]
    fence: Mapped[int] = mapped_column(Integer, server_default="0")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    cancel_requested: Mapped[bool] = mapped_column(Boolean, server_default="false")
    result: Mapped[Any | None] = mapped_column(JSONB)
    error_type: Mapped[str] = mapped_column(server_default="")
    error: Mapped[str] = mapped_column(server_default="")
    enqueued_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    tell_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    traceparent: Mapped[str] = mapped_column(server_default="")


class Quota(Base):
    """What is left of a quota that many processes share: of calls, or of a model's tokens.

    `level` is what was left at `updated_at`; it grows with time to the size of the quota and may
    be below 0. Nobody calls before `not_before`, which a provider's `Retry-After` moves.
    """

    __tablename__ = "quotas"

    quota: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    not_before: Mapped[datetime | None]


class Upload(Base):
    """What a person gave to be ingested, as it came: bytes, or only the address to fetch.

    It is deleted with what its job writes; one whose job failed, with the next upload.
    """

    __tablename__ = "uploads"
    __table_args__ = (Index("uploads_source", "source"),)

    upload_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    source: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str] = mapped_column(server_default="")
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(server_default="")
    job_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
