"""The secret of each realm that pairwise subjects are computed with."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the secrets are made at the next start."""
    op.create_table(
        "subject_secrets",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id"),
    )


def downgrade() -> None:
    """Forget the secrets: pairwise subjects are others from then on."""
    op.drop_table("subject_secrets")
