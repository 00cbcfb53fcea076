"""What is said of a client in one column; grants without a person, and for an API."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: Name, type, and what a row has that came without.
_MOVED: tuple[tuple[str, sa.types.TypeEngine[Any], Any], ...] = (
    ("name", sa.Text(), ""),
    ("auth_method", sa.String(length=40), "client_secret_basic"),
    ("redirect_uris", sa.JSON(), []),
    ("post_logout_redirect_uris", sa.JSON(), []),
    ("flows", sa.JSON(), []),
    ("scopes", sa.JSON(), []),
    ("trusted", sa.Boolean(), False),
    ("second_factor", sa.String(length=16), "realm"),
    ("acr_profile", sa.String(length=40), "rfc8176"),
)
_MAYBE_ABSENT: tuple[tuple[str, sa.types.TypeEngine[Any], Any], ...] = (
    ("user_id", sa.String(length=255), ""),
    ("sid", sa.String(length=64), ""),
    ("auth_time", sa.BigInteger(), 0),
    ("acr", sa.Text(), ""),
)


def _clients(*columns: str) -> sa.Table:
    """The table as it is half way: only what is named."""
    kinds = {name: kind for name, kind, _ in _MOVED} | {"settings": sa.JSON()}
    return sa.Table(
        "clients",
        sa.MetaData(),
        sa.Column("realm_id", sa.String(length=63), primary_key=True),
        sa.Column("client_id", sa.String(length=100), primary_key=True),
        *(sa.Column(name, kinds[name]) for name in columns),
    )


def upgrade() -> None:
    """Move the columns of clients into one; add what grants and tokens of other flows need."""
    conn = op.get_bind()
    op.add_column("clients", sa.Column("sealed_secret", sa.Text(), nullable=True))
    op.add_column("clients", sa.Column("settings", sa.JSON(), nullable=False, server_default="{}"))
    table = _clients(*(name for name, _, _ in _MOVED), "settings")
    for row in conn.execute(sa.select(table)).mappings().all():
        settings = {name: row[name] for name, _, _ in _MOVED}
        conn.execute(_one(table.update(), table, row).values(settings=settings))
    with op.batch_alter_table("clients") as clients:
        for name, _, _ in _MOVED:
            clients.drop_column(name)
        clients.alter_column("settings", server_default=None)
    with op.batch_alter_table("grants") as grants:
        for name, kind, _ in _MAYBE_ABSENT:
            grants.alter_column(name, existing_type=kind, nullable=True)
        grants.add_column(sa.Column("api", sa.Text(), nullable=True))
        grants.add_column(sa.Column("claims", sa.JSON(), nullable=False, server_default="{}"))
        grants.add_column(sa.Column("org_id", sa.String(length=100), nullable=True))
    with op.batch_alter_table("access_tokens") as tokens:
        tokens.drop_column("audience")
        tokens.add_column(sa.Column("api", sa.Text(), nullable=True))
    for name, key in (("assertions", "assertion_hash"), ("revoked_tokens", "token_hash")):
        op.create_table(
            name,
            sa.Column("realm_id", sa.String(length=63), nullable=False),
            sa.Column(key, sa.String(length=64), nullable=False),
            sa.Column("expires_at", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("realm_id", key),
        )
        op.create_index(f"{name}_by_end", name, ["realm_id", "expires_at"], unique=False)


def downgrade() -> None:
    """Move back what has a column; forget grants that nobody made, and what else is new."""
    conn = op.get_bind()
    op.drop_table("revoked_tokens")
    op.drop_table("assertions")
    with op.batch_alter_table("access_tokens") as tokens:
        tokens.drop_column("api")
        tokens.add_column(sa.Column("audience", sa.JSON(), nullable=False, server_default="[]"))
    absent = " OR ".join(f"{name} IS NULL" for name, _, _ in _MAYBE_ABSENT)
    op.execute(sa.text(f"DELETE FROM grants WHERE {absent}"))  # noqa: S608 (names of columns of ours)
    with op.batch_alter_table("grants") as grants:
        for name in ("org_id", "claims", "api"):
            grants.drop_column(name)
        for name, kind, _ in _MAYBE_ABSENT:
            grants.alter_column(name, existing_type=kind, nullable=False)
    with op.batch_alter_table("clients") as clients:
        for name, kind, _ in _MOVED:
            clients.add_column(sa.Column(name, kind, nullable=True))
    table = _clients(*(name for name, _, _ in _MOVED), "settings")
    for row in conn.execute(sa.select(table)).mappings().all():
        values = {name: row["settings"].get(name, otherwise) for name, _, otherwise in _MOVED}
        conn.execute(_one(table.update(), table, row).values(**values))
    with op.batch_alter_table("clients") as clients:
        for name, kind, _ in _MOVED:
            clients.alter_column(name, existing_type=kind, nullable=False)
        clients.drop_column("settings")
        clients.drop_column("sealed_secret")


def _one(query: sa.Update, table: sa.Table, row: Any) -> sa.Update:
    return query.where(table.c.realm_id == row["realm_id"], table.c.client_id == row["client_id"])
