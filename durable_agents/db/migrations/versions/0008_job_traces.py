"""Which span put a job into its pool."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision from the one before."""
    op.add_column("jobs", sa.Column("traceparent", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_column("jobs", "traceparent")
