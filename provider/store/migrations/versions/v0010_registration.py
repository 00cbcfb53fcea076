"""Clients that register themselves, and the tokens that let them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has yet."""
    op.add_column("clients", sa.Column("registration_hash", sa.String(length=64), nullable=True))
    op.add_column("clients", sa.Column("initial_token_id", sa.String(length=32), nullable=True))
    op.add_column("clients", sa.Column("used_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "clients_registered",
        "clients",
        ["realm_id", "used_at", "created_at"],
        unique=False,
        sqlite_where=sa.text("registration_hash IS NOT NULL"),
        postgresql_where=sa.text("registration_hash IS NOT NULL"),
    )
    op.create_table(
        "initial_tokens",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "token_id"),
    )
    op.create_index("initial_tokens_by_hash", "initial_tokens", ["realm_id", "token_hash"], unique=True)
    op.create_index("initial_tokens_by_end", "initial_tokens", ["realm_id", "expires_at"], unique=False)


def downgrade() -> None:
    """They stay, and nobody manages them but operators."""
    op.drop_table("initial_tokens")
    op.drop_index("clients_registered", table_name="clients")
    with op.batch_alter_table("clients") as clients:
        for name in ("used_at", "initial_token_id", "registration_hash"):
            clients.drop_column(name)
