"""Attributes of people that the provider writes; consents are kept in one of them.

What was agreed to before is forgotten, and people are asked once more: rows cannot be sealed here, where the
secret is not known (docs/decisions/0017).
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for attributes; the table of consents goes."""
    op.create_table(
        "user_attributes",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "user_id", "name"),
    )
    op.drop_table("consents")


def downgrade() -> None:
    """Make the table of consents anew, empty."""
    op.create_table(
        "consents",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "user_id", "client_id"),
    )
    op.drop_table("user_attributes")
