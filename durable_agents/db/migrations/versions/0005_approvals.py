"""The tables of what people decide, which take the place of the table of reviews."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOVE_REVIEWS = """
    INSERT INTO approval_requests (
        request_id, workflow_id, run_id, step, digest, kind, subject, title, for_whom,
        consequences, content, revision, previous_id, status, decided_by, decided_at, feedback,
        created_at)
    OVERRIDING SYSTEM VALUE
    SELECT review_id, workflow_id, run_id, 'review-' || revision, digest, 'review',
           reviews.task_id, coalesce(tasks.title, reviews.task_id), coalesce(tasks.user_id, ''),
           'The text is saved as the result of the task.', content, revision,
           lag(review_id) OVER (PARTITION BY run_id ORDER BY revision),
           CASE reviews.status WHEN 'pending_review' THEN 'pending' ELSE reviews.status END,
           decided_by, decided_at, feedback, reviews.created_at
    FROM reviews LEFT JOIN tasks ON tasks.task_id = reviews.task_id
"""
MOVE_DECISIONS = """
    INSERT INTO approval_decisions (request_id, number, verdict, by, counted, feedback, at)
    SELECT request_id, 1, CASE status WHEN 'approved' THEN 'approve' ELSE 'reject' END,
           decided_by, true, feedback, coalesce(decided_at, created_at)
    FROM approval_requests WHERE status IN ('approved', 'rejected')
"""
MOVE_BACK = """
    INSERT INTO reviews (review_id, workflow_id, run_id, task_id, revision, content, digest,
                         status, decided_by, feedback, created_at, decided_at)
    OVERRIDING SYSTEM VALUE
    SELECT request_id, workflow_id, run_id, subject, revision, coalesce(edited_content, content),
           digest, CASE status WHEN 'pending' THEN 'pending_review' ELSE status END,
           decided_by, feedback, created_at, decided_at
    FROM approval_requests WHERE kind = 'review'
    ON CONFLICT DO NOTHING
"""
NEXT_ID = (
    "SELECT setval(pg_get_serial_sequence('{0}', '{1}'), max({1})) FROM {0} HAVING max({1}) > 0"
)


def upgrade() -> None:
    """Go to this revision from the one before."""
    op.create_table(
        "approval_requests",
        sa.Column("request_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("for_whom", sa.Text(), server_default="", nullable=False),
        sa.Column("consequences", sa.Text(), server_default="", nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.Column("tool", sa.Text(), server_default="", nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("previous_id", sa.BigInteger(), nullable=True),
        sa.Column("four_eyes", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("verified_only", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("needed", sa.Integer(), server_default="1", nullable=False),
        sa.Column("reviewer", sa.Text(), server_default="", nullable=False),
        sa.Column("escalate_to", sa.Text(), server_default="", nullable=False),
        sa.Column("default_verdict", sa.Text(), server_default="", nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalate_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("decided_by", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("via", sa.Text(), server_default="", nullable=False),
        sa.Column("feedback", sa.Text(), server_default="", nullable=False),
        sa.Column("edited_content", sa.Text(), nullable=True),
        sa.Column("edited_arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("request_id"),
        sa.UniqueConstraint("run_id", "step", "digest"),
    )
    op.create_table(
        "approval_decisions",
        sa.Column("decision_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("via", sa.Text(), server_default="", nullable=False),
        sa.Column("counted", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("feedback", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.request_id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("decision_id"),
        sa.UniqueConstraint("request_id", "number"),
    )
    op.execute(MOVE_REVIEWS)
    op.execute(MOVE_DECISIONS)
    op.execute(NEXT_ID.format("approval_requests", "request_id"))
    op.create_index(
        "approval_requests_status", "approval_requests", ["status", "request_id"], unique=False
    )
    op.create_index(
        "approval_requests_workflow", "approval_requests", ["workflow_id", "step"], unique=False
    )
    op.create_index(
        "approval_requests_decided",
        "approval_requests",
        [sa.text("decided_at DESC")],
        unique=False,
    )
    op.drop_index("reviews_status", table_name="reviews")
    op.drop_table("reviews")


def downgrade() -> None:
    """Go back to the revision before; decisions on tools are lost with their table."""
    op.create_table(
        "reviews",
        sa.Column("review_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending_review", nullable=False),
        sa.Column("decided_by", sa.Text(), server_default="", nullable=False),
        sa.Column("feedback", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("review_id"),
        sa.UniqueConstraint("run_id", "revision"),
    )
    op.create_index("reviews_status", "reviews", ["status", "created_at"], unique=False)
    op.execute(MOVE_BACK)
    op.execute(NEXT_ID.format("reviews", "review_id"))
    op.drop_table("approval_decisions")
    op.drop_table("approval_requests")
