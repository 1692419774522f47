"""The tables of work pools, of quotas, of what is ingested, and of refunds."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _moment(name: str) -> sa.Column[datetime]:
    """A time that is now unless another is given."""
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def upgrade() -> None:
    """Go to this revision from the one before."""
    op.create_table(
        "pools",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("max_parallelism", sa.Integer(), server_default="10", nullable=False),
        sa.Column("is_paused", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("retention_s", sa.Integer(), server_default="604800", nullable=False),
        sa.Column("namespace", sa.Text(), server_default="", nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("pool"),
    )
    op.create_table(
        "quotas",
        sa.Column("quota", sa.Text(), nullable=False),
        sa.Column("level", sa.Double[float](), nullable=False),
        _moment("updated_at"),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("quota"),
    )
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), server_default="", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("upload_id"),
    )
    op.create_index("uploads_source", "uploads", ["source"], unique=False)
    op.create_table(
        "job_batches",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), server_default="", nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("sealed", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("on_complete", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        _moment("created_at"),
        sa.Column("tell_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool"], ["pools.pool"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch"),
    )
    op.create_index(
        "job_batches_to_tell",
        "job_batches",
        ["pool", "tell_at"],
        unique=False,
        postgresql_where=sa.text("tell_at IS NOT NULL"),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), server_default="", nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="3", nullable=False),
        sa.Column("weight", sa.Double[float](), server_default="1", nullable=False),
        sa.Column("rank", sa.Double[float](), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("about", sa.Text(), server_default="", nullable=False),
        sa.Column("retry", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("timeout_s", sa.Double[float](), server_default="300", nullable=False),
        sa.Column("on_complete", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lane", sa.Integer(), nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error_type", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        _moment("enqueued_at"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tell_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool"], ["pools.pool"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_index(
        "jobs_batch",
        "jobs",
        ["batch", "status"],
        unique=False,
        postgresql_where=sa.text("batch IS NOT NULL"),
    )
    op.create_index(
        "jobs_claim", "jobs", ["claim"], unique=True, postgresql_where=sa.text("status = 'running'")
    )
    op.create_index(
        "jobs_delayed",
        "jobs",
        ["pool", "not_before"],
        unique=False,
        postgresql_where=sa.text("status = 'delayed'"),
    )
    op.create_index(
        "jobs_finished",
        "jobs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "jobs_key",
        "jobs",
        ["pool", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_index(
        "jobs_queued",
        "jobs",
        ["pool", "priority", "rank", "job_id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "jobs_running",
        "jobs",
        ["pool", "lane"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "jobs_to_tell",
        "jobs",
        ["pool", "tell_at"],
        unique=False,
        postgresql_where=sa.text("tell_at IS NOT NULL"),
    )
    op.create_table(
        "pool_lanes",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="asleep", nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wakes_at", sa.DateTime(timezone=True), nullable=True),
        _moment("changed_at"),
        sa.ForeignKeyConstraint(["pool"], ["pools.pool"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool", "lane"),
    )
    op.create_table(
        "pool_shares",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("reached", sa.Double[float](), nullable=False),
        sa.ForeignKeyConstraint(["pool"], ["pools.pool"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool", "priority", "tenant"),
    )
    op.add_column(
        "documents", sa.Column("media_type", sa.Text(), server_default="", nullable=False)
    )
    op.add_column(
        "documents", sa.Column("upload_digest", sa.Text(), server_default="", nullable=False)
    )
    op.add_column(
        "documents",
        _moment("updated_at"),
    )
    op.create_index("documents_source", "documents", ["source"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("reservation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("payment", sa.Text(), server_default="", nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_by", sa.Text(), server_default="", nullable=False),
        _moment("began_at"),
        _moment("touched_at"),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("order_id", "generation"),
    )
    op.create_index(
        "refunds_open",
        "refunds",
        ["touched_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL"),
    )


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("refunds")
    op.drop_index("documents_source", table_name="documents")
    op.drop_column("documents", "updated_at")
    op.drop_column("documents", "upload_digest")
    op.drop_column("documents", "media_type")
    op.drop_table("pool_shares")
    op.drop_table("pool_lanes")
    op.drop_table("jobs")
    op.drop_table("job_batches")
    op.drop_index("uploads_source", table_name="uploads")
    op.drop_table("uploads")
    op.drop_table("quotas")
    op.drop_table("pools")
