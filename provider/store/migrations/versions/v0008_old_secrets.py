"""The secret that a client had before, for the time in which both are good."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has one yet."""
    op.add_column("clients", sa.Column("old_secret_hash", sa.String(length=64), nullable=True))
    op.add_column("clients", sa.Column("old_sealed_secret", sa.Text(), nullable=True))
    op.add_column("clients", sa.Column("old_secret_until", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Forget them: only the new secret is good."""
    with op.batch_alter_table("clients") as clients:
        for name in ("old_secret_until", "old_sealed_secret", "old_secret_hash"):
            clients.drop_column(name)
