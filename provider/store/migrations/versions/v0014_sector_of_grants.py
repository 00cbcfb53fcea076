"""Grants say by which sector the person was known to the client; none of before were pairwise."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Absent: as every public client knows them."""
    op.add_column("grants", sa.Column("sector", sa.String(length=255), nullable=True))


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("grants") as grants:
        grants.drop_column("sector")
