"""The tables. Each row belongs to a realm; secrets are held as hashes, sealed, or not at all.

Columns only: statements are in the module of each aggregate next door, changes of these tables in
`migrations/versions`, which a test compares with this file. Instants (`_at`) are epoch seconds.
"""

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text, text

metadata: Final = MetaData()

_HASH = String(64)
_INSTANT = BigInteger


def _realm() -> Column[str]:
    return Column("realm_id", String(63), primary_key=True)


clients: Final = Table(
    "clients",
    metadata,
    _realm(),
    Column("client_id", String(100), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("secret_hash", _HASH),
    # Only where the text itself is needed: to make or check signatures with it.
    Column("sealed_secret", Text),
    # The one before, good until then.
    Column("old_secret_hash", _HASH),
    Column("old_sealed_secret", Text),
    Column("old_secret_until", _INSTANT),
    # Everything else that is said of it, by the names of `provider.store.clients.Client`.
    Column("settings", JSON, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    # Of one that registered itself: of the token by which it manages that, by which initial token it came,
    # and since when it is known to have been given something.
    Column("registration_hash", _HASH),
    Column("initial_token_id", String(32)),
    Column("used_at", _INSTANT),
    Index(
        "clients_registered",
        "realm_id",
        "used_at",
        "created_at",
        sqlite_where=text("registration_hash IS NOT NULL"),
        postgresql_where=text("registration_hash IS NOT NULL"),
    ),
)

# Tokens with which somebody may register clients.
initial_tokens: Final = Table(
    "initial_tokens",
    metadata,
    _realm(),
    # Its name in lists and in the audit log.
    Column("token_id", String(32), primary_key=True),
    Column("token_hash", _HASH, nullable=False),
    Column("note", Text, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Index("initial_tokens_by_hash", "realm_id", "token_hash", unique=True),
    Index("initial_tokens_by_end", "realm_id", "expires_at"),
)

users: Final = Table(
    "users",
    metadata,
    _realm(),
    Column("user_id", String(255), primary_key=True),
    Column("user_name", Text, nullable=False),
    # The name as it is compared (folded): two spellings of one name cannot both exist.
    Column("user_name_key", Text, nullable=False),
    Column("password_hash", Text),
    Column("active", Boolean, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Index("users_by_name", "realm_id", "user_name_key", unique=True),
)

keys: Final = Table(
    "keys",
    metadata,
    _realm(),
    Column("kid", String(64), primary_key=True),
    Column("use", String(8), nullable=False),
    Column("alg", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("not_before", _INSTANT, nullable=False),
    # When it stops being published, or to open what was encrypted to it; set as the key is retired.
    Column("published_until", _INSTANT),
    # Empty once retired: what never signs again need not be kept. One that opens is kept until then.
    Column("sealed_private", Text),
    Column("public_jwk", JSON, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    # When the operator was last told that its certificate ends.
    Column("told_at", _INSTANT),
    # However many processes start at once, one current and one next key is all the database takes.
    Index(
        "keys_one_per_state",
        "realm_id",
        "use",
        "alg",
        "state",
        unique=True,
        sqlite_where=text("state <> 'retired'"),
        postgresql_where=text("state <> 'retired'"),
    ),
)

#: What pairwise subjects are computed with: made once for a realm and never again.
subject_secrets: Final = Table(
    "subject_secrets",
    metadata,
    _realm(),
    Column("sealed_secret", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
)

browser_sessions: Final = Table(
    "browser_sessions",
    metadata,
    _realm(),
    Column("session_hash", _HASH, primary_key=True),
    Column("sid", String(64), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("auth_time", _INSTANT, nullable=False),
    Column("acr", Text, nullable=False),
    Column("amr", JSON, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("seen_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("ended_at", _INSTANT),
    # When it was written down whom to tell of the end. Ended and not told: that has still to be done.
    Column("told_at", _INSTANT),
    # What its person recognises it by, such as "Firefox on Linux".
    Column("browser", String(60)),
    Index("browser_sessions_by_sid", "realm_id", "sid"),
    Index("browser_sessions_by_user", "realm_id", "user_id"),
    Index("browser_sessions_by_end", "realm_id", "expires_at"),
    Index(
        "browser_sessions_untold",
        "realm_id",
        "ended_at",
        sqlite_where=text("ended_at IS NOT NULL AND told_at IS NULL"),
        postgresql_where=text("ended_at IS NOT NULL AND told_at IS NULL"),
    ),
)

session_clients: Final = Table(
    "session_clients",
    metadata,
    _realm(),
    Column("sid", String(64), primary_key=True),
    # Was given something in the session, so it may want to know of its end.
    Column("client_id", String(100), primary_key=True),
    # With the session, if nobody ends it before.
    Column("expires_at", _INSTANT, nullable=False),
    Index("session_clients_by_end", "realm_id", "expires_at"),
)

logout_notices: Final = Table(
    "logout_notices",
    metadata,
    _realm(),
    Column("sid", String(64), primary_key=True),
    Column("client_id", String(100), primary_key=True),
    Column("user_id", String(255), nullable=False),
    # When the session ended.
    Column("created_at", _INSTANT, nullable=False),
    Column("due_at", _INSTANT, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Somebody sends it until then; after that it is anybody's again.
    Column("leased_until", _INSTANT),
    # Why the last attempt failed.
    Column("reason", Text),
    # Given up; kept for the operator.
    Column("failed_at", _INSTANT),
    Index(
        "logout_notices_waiting",
        "realm_id",
        "client_id",
        "due_at",
        sqlite_where=text("failed_at IS NULL"),
        postgresql_where=text("failed_at IS NULL"),
    ),
    Index(
        "logout_notices_by_age",
        "realm_id",
        "created_at",
        sqlite_where=text("failed_at IS NULL"),
        postgresql_where=text("failed_at IS NULL"),
    ),
    # Without those that wait: SQLite would take them for few, and find them by this one.
    Index(
        "logout_notices_failed",
        "realm_id",
        "failed_at",
        sqlite_where=text("failed_at IS NOT NULL"),
        postgresql_where=text("failed_at IS NOT NULL"),
    ),
)

interactions: Final = Table(
    "interactions",
    metadata,
    _realm(),
    Column("id_hash", _HASH, primary_key=True),
    # "" until a browser has claimed it: a cross-site POST arrives without our cookies.
    Column("browser_hash", _HASH, nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("request", JSON, nullable=False),
    Column("state", JSON, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("finished_at", _INSTANT),
    Index("interactions_by_end", "realm_id", "expires_at"),
)

user_attributes: Final = Table(
    "user_attributes",
    metadata,
    _realm(),
    Column("user_id", String(255), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

grants: Final = Table(
    "grants",
    metadata,
    _realm(),
    Column("grant_id", String(64), primary_key=True),
    Column("client_id", String(100), nullable=False),
    # Absent where a client acts for itself, or nobody sat at a browser.
    Column("user_id", String(255)),
    Column("sid", String(64)),
    Column("scope", JSON, nullable=False),
    Column("auth_time", _INSTANT),
    Column("acr", Text),
    Column("amr", JSON, nullable=False),
    # The audience of the API its access tokens are for; absent: none in particular.
    Column("api", Text),
    # Claims asked for one by one: {"id_token": [...], "userinfo": [...]}.
    Column("claims", JSON, nullable=False),
    Column("org_id", String(100)),
    # Of the client as it was then, where it is pairwise: it says who the person is to it.
    Column("sector", String(255)),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("revoked_at", _INSTANT),
    Column("revoke_reason", String(40)),
    Index("grants_by_sid", "realm_id", "sid", "client_id"),
    Index("grants_by_user", "realm_id", "user_id", "client_id"),
    Index("grants_by_client", "realm_id", "client_id"),
    Index("grants_by_end", "realm_id", "expires_at"),
)

codes: Final = Table(
    "codes",
    metadata,
    _realm(),
    Column("code_hash", _HASH, primary_key=True),
    Column("grant_id", String(64), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("nonce", Text),
    # Always of the method S256: no other is taken.
    Column("code_challenge", String(128)),
    Column("expires_at", _INSTANT, nullable=False),
    Column("consumed_at", _INSTANT),
    Index("codes_by_end", "realm_id", "expires_at"),
)

device_codes: Final = Table(
    "device_codes",
    metadata,
    _realm(),
    Column("device_hash", _HASH, primary_key=True),
    # What the person types: short, so it is of use only for as long as it waits, and to who is signed in.
    Column("user_code", String(16), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("scope", JSON, nullable=False),
    Column("api", Text),
    # How long the device has to wait between two questions; grows when it does not.
    Column("interval_seconds", Integer, nullable=False),
    Column("polled_at", _INSTANT),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    # When somebody answered; without a grant the answer was no.
    Column("decided_at", _INSTANT),
    Column("grant_id", String(64)),
    Column("consumed_at", _INSTANT),
    Index("device_codes_by_user_code", "realm_id", "user_code", unique=True),
    Index("device_codes_by_client", "realm_id", "client_id", "expires_at"),
    Index("device_codes_by_end", "realm_id", "expires_at"),
)

access_tokens: Final = Table(
    "access_tokens",
    metadata,
    _realm(),
    Column("token_hash", _HASH, primary_key=True),
    Column("grant_id", String(64), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("scope", JSON, nullable=False),
    # Where it is good; absent: at our own UserInfo endpoint and for no API in particular.
    Column("api", Text),
    Column("issued_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Index("access_tokens_by_grant", "realm_id", "grant_id"),
    Index("access_tokens_by_end", "realm_id", "expires_at"),
)

refresh_tokens: Final = Table(
    "refresh_tokens",
    metadata,
    _realm(),
    Column("token_hash", _HASH, primary_key=True),
    Column("grant_id", String(64), nullable=False),
    Column("predecessor_hash", _HASH),
    Column("scope", JSON, nullable=False),
    Column("issued_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("consumed_at", _INSTANT),
    # The pair that replaced it, for a retry inside the grace; opens only with the token itself.
    Column("successor_sealed", Text),
    Index("refresh_tokens_by_grant", "realm_id", "grant_id"),
    # A token has one successor, whatever raced.
    Index("refresh_tokens_one_successor", "realm_id", "predecessor_hash", unique=True),
    Index("refresh_tokens_by_end", "realm_id", "expires_at"),
)

assertions: Final = Table(
    "assertions",
    metadata,
    _realm(),
    # Of the client and the `jti` together: what one client sends is not another's.
    Column("assertion_hash", _HASH, primary_key=True),
    Column("expires_at", _INSTANT, nullable=False),
    Index("assertions_by_end", "realm_id", "expires_at"),
)

revoked_tokens: Final = Table(
    "revoked_tokens",
    metadata,
    _realm(),
    # Of the `jti` of a token that no other row is about.
    Column("token_hash", _HASH, primary_key=True),
    Column("expires_at", _INSTANT, nullable=False),
    Index("revoked_tokens_by_end", "realm_id", "expires_at"),
)

totp: Final = Table(
    "totp",
    metadata,
    _realm(),
    Column("user_id", String(255), primary_key=True),
    Column("sealed_secret", Text, nullable=False),
    # The time step of the last code that was accepted: neither it nor an earlier one is accepted again.
    Column("last_step", BigInteger, nullable=False),
    Column("enrolled_at", _INSTANT, nullable=False),
)

throttle: Final = Table(
    "throttle",
    metadata,
    _realm(),
    Column("scope_key", String(100), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("charged_at", _INSTANT, nullable=False),
    Column("blocked_until", _INSTANT, nullable=False),
    Index("throttle_by_charge", "realm_id", "charged_at"),
)
