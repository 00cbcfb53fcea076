"""A second factor (TOTP), and what clients say of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of authenticators; clients that are there keep the realm's rule and plain words."""
    op.create_table(
        "totp",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "user_id"),
    )
    op.add_column(
        "clients", sa.Column("second_factor", sa.String(length=16), nullable=False, server_default="realm")
    )
    op.add_column(
        "clients", sa.Column("acr_profile", sa.String(length=40), nullable=False, server_default="rfc8176")
    )


def downgrade() -> None:
    """Forget all authenticators."""
    with op.batch_alter_table("clients") as clients:
        clients.drop_column("acr_profile")
        clients.drop_column("second_factor")
    op.drop_table("totp")
