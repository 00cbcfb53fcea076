"""An index for stopping everything that one client was granted."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("grants_by_client", "grants", ["realm_id", "client_id"], unique=False)


def downgrade() -> None:
    """Take it away."""
    op.drop_index("grants_by_client", table_name="grants")
