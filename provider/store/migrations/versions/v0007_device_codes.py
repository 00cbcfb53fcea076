"""Devices that wait for somebody to type their code."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "device_codes",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("device_hash", sa.String(length=64), nullable=False),
        sa.Column("user_code", sa.String(length=16), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("api", sa.Text(), nullable=True),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("grant_id", sa.String(length=64), nullable=True),
        sa.Column("consumed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "device_hash"),
    )
    op.create_index("device_codes_by_user_code", "device_codes", ["realm_id", "user_code"], unique=True)
    op.create_index(
        "device_codes_by_client", "device_codes", ["realm_id", "client_id", "expires_at"], unique=False
    )
    op.create_index("device_codes_by_end", "device_codes", ["realm_id", "expires_at"], unique=False)


def downgrade() -> None:
    """Forget who waits."""
    op.drop_table("device_codes")
