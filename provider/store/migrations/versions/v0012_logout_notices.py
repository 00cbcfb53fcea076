"""Who takes part in a session, and whom to tell of its end."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_UNTOLD = sa.text("ended_at IS NOT NULL AND told_at IS NULL")
_WAITING = sa.text("failed_at IS NULL")


def upgrade() -> None:
    """Add the tables; nobody is told of what ended before."""
    op.add_column("browser_sessions", sa.Column("told_at", sa.BigInteger(), nullable=True))
    op.execute(sa.text("UPDATE browser_sessions SET told_at = ended_at"))
    op.create_index(
        "browser_sessions_untold",
        "browser_sessions",
        ["realm_id", "ended_at"],
        unique=False,
        sqlite_where=_UNTOLD,
        postgresql_where=_UNTOLD,
    )
    op.create_table(
        "session_clients",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "sid", "client_id"),
    )
    op.create_index("session_clients_by_end", "session_clients", ["realm_id", "expires_at"], unique=False)
    # Those of the sessions that live on, as far as their grants are still there.
    op.execute(
        sa.text(
            "INSERT INTO session_clients (realm_id, sid, client_id, expires_at)"
            " SELECT DISTINCT s.realm_id, s.sid, g.client_id, s.expires_at FROM browser_sessions s"
            " JOIN grants g ON g.realm_id = s.realm_id AND g.sid = s.sid WHERE s.ended_at IS NULL"
        )
    )
    op.create_table(
        "logout_notices",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "sid", "client_id"),
    )
    op.create_index(
        "logout_notices_waiting",
        "logout_notices",
        ["realm_id", "client_id", "due_at"],
        unique=False,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("logout_notices_failed", "logout_notices", ["realm_id", "failed_at"], unique=False)


def downgrade() -> None:
    """Forget whom to tell."""
    op.drop_table("logout_notices")
    op.drop_table("session_clients")
    op.drop_index("browser_sessions_untold", table_name="browser_sessions")
    with op.batch_alter_table("browser_sessions") as browser_sessions:
        browser_sessions.drop_column("told_at")
