"""A code has no scope of its own: it is that of its grant."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the copy, which nobody reads."""
    with op.batch_alter_table("codes") as codes:
        codes.drop_column("scope")


def downgrade() -> None:
    """Copy it from the grants; a code without one is good for nothing."""
    op.add_column("codes", sa.Column("scope", sa.JSON(), nullable=True))
    op.execute(
        sa.text(
            "UPDATE codes SET scope = (SELECT grants.scope FROM grants"
            " WHERE grants.realm_id = codes.realm_id AND grants.grant_id = codes.grant_id)"
        )
    )
    op.execute(sa.text("UPDATE codes SET scope = '[]' WHERE scope IS NULL"))
    with op.batch_alter_table("codes") as codes:
        codes.alter_column("scope", existing_type=sa.JSON(), nullable=False)
