"""Notices that wait are found by their age; those that failed have an index to themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_WAITING = sa.text("failed_at IS NULL")
_FAILED = sa.text("failed_at IS NOT NULL")


def upgrade() -> None:
    """Make the one, and make the other anew."""
    op.create_index(
        "logout_notices_by_age",
        "logout_notices",
        ["realm_id", "created_at"],
        unique=False,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.drop_index("logout_notices_failed", table_name="logout_notices")
    op.create_index(
        "logout_notices_failed",
        "logout_notices",
        ["realm_id", "failed_at"],
        unique=False,
        sqlite_where=_FAILED,
        postgresql_where=_FAILED,
    )


def downgrade() -> None:
    """As before."""
    op.drop_index("logout_notices_by_age", table_name="logout_notices")
    op.drop_index("logout_notices_failed", table_name="logout_notices")
    op.create_index("logout_notices_failed", "logout_notices", ["realm_id", "failed_at"], unique=False)
