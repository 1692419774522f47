"""The first tables."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WORDS = """setweight(to_tsvector('english', split_part(content, chr(10) || chr(10), 1)), 'B')
    || to_tsvector('english', content)"""


def upgrade() -> None:
    """Go to this revision from the one before."""
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    _create_business()
    _create_conversations()
    _create_runs()
    _create_effects()
    _create_knowledge()


def downgrade() -> None:
    """Go back to the revision before. The extension stays: others may use it."""
    for table in (
        "chunks",
        "documents",
        "effects",
        "workflow_status",
        "errors",
        "llm_calls",
        "messages",
        "threads",
        "tickets",
        "tasks",
        "accounts",
    ):
        op.drop_table(table)


def _id(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.Identity(always=True), primary_key=True)


def _text(name: str, *, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _create_business() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Text(), primary_key=True),
        _text("name"),
        _text("email"),
        _text("plan"),
        _text("city"),
        sa.Column("balance_usd", sa.Numeric(12, 2, asdecimal=False), nullable=False),
        _text("status", default="active"),
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Text(), primary_key=True),
        _text("user_id", default=""),
        _text("title"),
        _text("body"),
        _text("status", default="new"),
        sa.Column("result", sa.Text(), nullable=True),
    )
    op.create_table(
        "tickets",
        _id("ticket_id"),
        sa.Column("account_id", sa.Text(), sa.ForeignKey("accounts.account_id"), nullable=True),
        _text("subject"),
        _text("description"),
        _text("priority"),
        _text("status", default="open"),
        _text("effect_key"),
        _now("created_at"),
    )
    op.create_index("tickets_account", "tickets", ["account_id"])


def _create_conversations() -> None:
    op.create_table(
        "threads",
        _id("thread_id"),
        _text("user_id"),
        _text("agent"),
        _text("run_id"),
        _text("step"),
        _now("created_at"),
        sa.UniqueConstraint("run_id", "step"),
    )
    op.create_table(
        "messages",
        _id("message_id"),
        sa.Column(
            "thread_id",
            sa.BigInteger(),
            sa.ForeignKey("threads.thread_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "parent_id", sa.BigInteger(), sa.ForeignKey("messages.message_id"), nullable=True
        ),
        sa.Column(
            "answers_id", sa.BigInteger(), sa.ForeignKey("messages.message_id"), nullable=True
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("role"),
        _text("content"),
        sa.Column("tool_calls", JSONB(), nullable=True),
        sa.Column("tool_call_id", sa.Text(), nullable=True),
        sa.Column("tool", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        _text("run_id"),
        _text("step"),
        sa.Column("index", sa.SmallInteger(), nullable=False),
        _now("created_at"),
        sa.UniqueConstraint("run_id", "step", "index"),
    )
    op.create_index("messages_thread", "messages", ["thread_id"])
    op.create_index(
        "messages_answers",
        "messages",
        ["answers_id"],
        postgresql_where=sa.text("answers_id IS NOT NULL"),
    )


def _create_runs() -> None:
    _create_llm_calls()
    op.create_table(
        "errors",
        _id("error_id"),
        _text("workflow_id"),
        _text("run_id"),
        _text("step"),
        _text("type"),
        _text("message"),
        _now("created_at"),
        sa.UniqueConstraint("run_id", "step"),
    )
    op.create_index("errors_workflow", "errors", ["workflow_id"])
    op.create_table(
        "workflow_status",
        sa.Column("run_id", sa.Text(), primary_key=True),
        _text("workflow_id"),
        _text("workflow_type"),
        _text("status"),
        _text("step"),
        _text("error"),
        _now("started_at"),
        _now("updated_at"),
    )
    op.create_index("workflow_status_id", "workflow_status", ["workflow_id", "started_at"])
    op.create_index("workflow_status_started", "workflow_status", ["started_at"])
    op.create_index(
        "workflow_status_open",
        "workflow_status",
        ["updated_at"],
        postgresql_where=sa.text("status = 'running'"),
    )


def _create_llm_calls() -> None:
    op.create_table(
        "llm_calls",
        _id("llm_call_id"),
        _text("workflow_id"),
        _text("run_id"),
        _text("step"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _text("agent"),
        _text("model"),
        _text("user_id"),
        _text("outcome"),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(14, 8, asdecimal=False), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        _now("created_at"),
    )
    op.create_index("llm_calls_run", "llm_calls", ["run_id"])
    op.create_index("llm_calls_time", "llm_calls", ["created_at"])


def _create_effects() -> None:
    op.create_table(
        "effects",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("generation", sa.Integer(), primary_key=True, autoincrement=False),
        _text("fingerprint"),
        sa.Column("result", JSONB(), nullable=True),
        _text("run_id"),
        _now("created_at"),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index(
        "effects_open",
        "effects",
        ["key"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def _create_knowledge() -> None:
    op.create_table(
        "documents",
        sa.Column("document_id", sa.Text(), primary_key=True),
        _text("title"),
        _text("source"),
        _text("content"),
        _text("content_hash"),
        _now("created_at"),
    )
    op.create_table(
        "chunks",
        _id("chunk_id"),
        sa.Column(
            "document_id",
            sa.Text(),
            sa.ForeignKey("documents.document_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("content"),
        sa.Column(
            "words",
            TSVECTOR(),
            sa.Computed(WORDS, persisted=True),
            nullable=False,
        ),
        sa.Column("embedding", HALFVEC(), nullable=True),
        sa.Column("embedding_model", sa.Text(), nullable=True),
        sa.Column("embedding_dimension", sa.Integer(), nullable=True),
        sa.UniqueConstraint("document_id", "position"),
    )
    op.create_index("chunks_words", "chunks", ["words"], postgresql_using="gin")
