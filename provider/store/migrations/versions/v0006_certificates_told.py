"""When an operator was told that the certificate of a key ends."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody was told yet."""
    op.add_column("keys", sa.Column("told_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("keys") as keys:
        keys.drop_column("told_at")
