"""The browser in which a session began, in words that its person recognises."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of sessions that began before nobody knows it."""
    op.add_column("browser_sessions", sa.Column("browser", sa.String(length=60), nullable=True))


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("browser_sessions") as sessions:
        sessions.drop_column("browser")
