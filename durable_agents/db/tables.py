"""The tables.

Ids that history records are short integers. Rows that record the state of a run are keyed by
the run and the step, so that a second delivery finds the first; rows that others would notice
twice are guarded by the table of effects.
"""

from datetime import datetime
from typing import Any, ClassVar

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Holds the metadata of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
    }


NOW = func.now()


class Account(Base):
    """A customer."""

    __tablename__ = "accounts"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    plan: Mapped[str]
    city: Mapped[str]
    balance_usd: Mapped[float] = mapped_column(Numeric(12, 2, asdecimal=False))
    status: Mapped[str] = mapped_column(server_default="active")


class Task(Base):
    """A piece of work that a flow takes up by its id."""

    __tablename__ = "tasks"

    task_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(server_default="")
    title: Mapped[str]
    body: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="new")
    result: Mapped[str | None]


class Thread(Base):
    """A conversation."""

    __tablename__ = "threads"
    __table_args__ = (UniqueConstraint("run_id", "step"),)

    thread_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    user_id: Mapped[str]
    agent: Mapped[str]
    run_id: Mapped[str]
    step: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Message(Base):
    """One message of a thread.

    The conversation that a model may see is the chain of `parent_id` from its head; `position`
    counts along it. An observation answers a tool call of the message `answers_id`; until it is
    made part of the thread it has no parent. Messages are never changed but for that.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("run_id", "step", "index"),
        Index("messages_thread", "thread_id"),
        Index("messages_answers", "answers_id", postgresql_where=text("answers_id IS NOT NULL")),
    )

    message_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    thread_id: Mapped[int] = mapped_column(ForeignKey("threads.thread_id", ondelete="CASCADE"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("messages.message_id"))
    answers_id: Mapped[int | None] = mapped_column(ForeignKey("messages.message_id"))
    position: Mapped[int] = mapped_column(Integer)
    role: Mapped[str]
    content: Mapped[str]
    tool_calls: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    tool_call_id: Mapped[str | None]
    tool: Mapped[str | None]
    model: Mapped[str | None]
    run_id: Mapped[str]
    step: Mapped[str]
    index: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Effect(Base):
    """An effect that happens once: the key, its generation, and what came of it.

    `fingerprint` is the SHA-256 of the request in hexadecimal. `closed_at` is set by a
    compensation: the next claim of the key opens a new generation. At most one is open.
    """

    __tablename__ = "effects"
    __table_args__ = (
        Index("effects_open", "key", unique=True, postgresql_where=text("closed_at IS NULL")),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    fingerprint: Mapped[str]
    result: Mapped[Any | None] = mapped_column(JSONB)
    run_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    closed_at: Mapped[datetime | None]


class LlmCall(Base):
    """One attempt at a model call, also when it failed: what it used and cost."""

    __tablename__ = "llm_calls"
    __table_args__ = (Index("llm_calls_run", "run_id"), Index("llm_calls_time", "created_at"))

    llm_call_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    workflow_id: Mapped[str]
    run_id: Mapped[str]
    step: Mapped[str]
    attempt: Mapped[int] = mapped_column(Integer)
    agent: Mapped[str]
    model: Mapped[str]
    user_id: Mapped[str]
    outcome: Mapped[str]
    input_tokens: Mapped[int] = mapped_column(Integer)
    output_tokens: Mapped[int] = mapped_column(Integer)
    cost_usd: Mapped[float] = mapped_column(Numeric(14, 8, asdecimal=False))
    latency_ms: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class LoggedError(Base):
    """An error that a flow met and recorded."""

    __tablename__ = "errors"
    __table_args__ = (UniqueConstraint("run_id", "step"), Index("errors_workflow", "workflow_id"))

    error_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    workflow_id: Mapped[str]
    run_id: Mapped[str]
    step: Mapped[str]
    type: Mapped[str]
    message: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class WorkflowStatus(Base):
    """Where a run is, kept by the run itself; one row a run."""

    __tablename__ = "workflow_status"
    __table_args__ = (
        Index("workflow_status_id", "workflow_id", "started_at"),
        Index("workflow_status_started", "started_at"),
        Index("workflow_status_open", "updated_at", postgresql_where=text("status = 'running'")),
    )

    run_id: Mapped[str] = mapped_column(primary_key=True)
    workflow_id: Mapped[str]
    workflow_type: Mapped[str]
    status: Mapped[str]
    step: Mapped[str]
    error: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Ticket(Base):
    """A ticket for the people who support customers."""

    __tablename__ = "tickets"
    __table_args__ = (Index("tickets_account", "account_id"),)

    ticket_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.account_id"))
    subject: Mapped[str]
    description: Mapped[str]
    priority: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="open")
    effect_key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Document(Base):
    """A document of the knowledge base; `source` says where it came from.

    `content_hash` stands for its text and how that is cut; `upload_digest` is the SHA-256 of the
    bytes that it was read from, so that what did not change is not read again.
    """

    __tablename__ = "documents"
    __table_args__ = (Index("documents_source", "source"),)

    document_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    source: Mapped[str]
    content: Mapped[str]
    content_hash: Mapped[str]
    media_type: Mapped[str] = mapped_column(server_default="")
    upload_digest: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


WORDS = """setweight(to_tsvector('english', split_part(content, chr(10) || chr(10), 1)), 'B')
    || to_tsvector('english', content)"""


class Chunk(Base):
    """A passage of a document, as search finds it. It begins with its heading, which weighs more.

    `embedding` is there once an embedding model has seen it; its model and dimension stand
    beside it, because vectors of different models cannot be compared.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        UniqueConstraint("document_id", "position"),
        Index("chunks_words", "words", postgresql_using="gin"),
    )

    chunk_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    document_id: Mapped[str] = mapped_column(
        ForeignKey("documents.document_id", ondelete="CASCADE")
    )
    position: Mapped[int] = mapped_column(Integer)
    content: Mapped[str]
    words: Mapped[Any] = mapped_column(TSVECTOR, Computed(WORDS, persisted=True))
    embedding: Mapped[Any | None] = mapped_column(HALFVEC())
    embedding_model: Mapped[str | None]
    embedding_dimension: Mapped[int | None] = mapped_column(Integer)
