"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "access_tokens",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "token_hash"),
    )
    op.create_index("access_tokens_by_end", "access_tokens", ["realm_id", "expires_at"], unique=False)
    op.create_index("access_tokens_by_grant", "access_tokens", ["realm_id", "grant_id"], unique=False)
    op.create_table(
        "browser_sessions",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("auth_time", sa.BigInteger(), nullable=False),
        sa.Column("acr", sa.Text(), nullable=False),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "session_hash"),
    )
    op.create_index("browser_sessions_by_end", "browser_sessions", ["realm_id", "expires_at"], unique=False)
    op.create_index("browser_sessions_by_sid", "browser_sessions", ["realm_id", "sid"], unique=False)
    op.create_index("browser_sessions_by_user", "browser_sessions", ["realm_id", "user_id"], unique=False)
    op.create_table(
        "clients",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=True),
        sa.Column("auth_method", sa.String(length=40), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("post_logout_redirect_uris", sa.JSON(), nullable=False),
        sa.Column("flows", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "client_id"),
    )
    op.create_table(
        "codes",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("code_challenge", sa.String(length=128), nullable=True),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("consumed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "code_hash"),
    )
    op.create_index("codes_by_end", "codes", ["realm_id", "expires_at"], unique=False)
    op.create_table(
        "consents",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "user_id", "client_id"),
    )
    op.create_table(
        "grants",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("auth_time", sa.BigInteger(), nullable=False),
        sa.Column("acr", sa.Text(), nullable=False),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoke_reason", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "grant_id"),
    )
    op.create_index("grants_by_end", "grants", ["realm_id", "expires_at"], unique=False)
    op.create_index("grants_by_sid", "grants", ["realm_id", "sid", "client_id"], unique=False)
    op.create_index("grants_by_user", "grants", ["realm_id", "user_id", "client_id"], unique=False)
    op.create_table(
        "interactions",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("browser_hash", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "id_hash"),
    )
    op.create_index("interactions_by_end", "interactions", ["realm_id", "expires_at"], unique=False)
    op.create_table(
        "keys",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("use", sa.String(length=8), nullable=False),
        sa.Column("alg", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("published_until", sa.BigInteger(), nullable=True),
        sa.Column("sealed_private", sa.Text(), nullable=True),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "kid"),
    )
    op.create_index(
        "keys_one_per_state",
        "keys",
        ["realm_id", "use", "alg", "state"],
        unique=True,
        sqlite_where=sa.text("state <> 'retired'"),
        postgresql_where=sa.text("state <> 'retired'"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("predecessor_hash", sa.String(length=64), nullable=True),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("consumed_at", sa.BigInteger(), nullable=True),
        sa.Column("successor_sealed", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("realm_id", "token_hash"),
    )
    op.create_index("refresh_tokens_by_end", "refresh_tokens", ["realm_id", "expires_at"], unique=False)
    op.create_index("refresh_tokens_by_grant", "refresh_tokens", ["realm_id", "grant_id"], unique=False)
    op.create_index(
        "refresh_tokens_one_successor", "refresh_tokens", ["realm_id", "predecessor_hash"], unique=True
    )
    op.create_table(
        "throttle",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("scope_key", sa.String(length=100), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("charged_at", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "scope_key"),
    )
    op.create_index("throttle_by_charge", "throttle", ["realm_id", "charged_at"], unique=False)
    op.create_table(
        "users",
        sa.Column("realm_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("user_name_key", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm_id", "user_id"),
    )
    op.create_index("users_by_name", "users", ["realm_id", "user_name_key"], unique=True)


def downgrade() -> None:
    """Drop every table; indexes go with them."""
    op.drop_table("users")
    op.drop_table("throttle")
    op.drop_table("refresh_tokens")
    op.drop_table("keys")
    op.drop_table("interactions")
    op.drop_table("grants")
    op.drop_table("consents")
    op.drop_table("codes")
    op.drop_table("clients")
    op.drop_table("browser_sessions")
    op.drop_table("access_tokens")
