"""Rows of `clients`.

Clients written in `provider.toml` are not here: `provider.services.clients` joins the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update

from oidcgate.settings import Secret
from provider.client_rules import ClientRules
from provider.store.engine import to_be_judged
from provider.store.schema import clients, grants
from provider.store.statements import portions


@dataclass(frozen=True)
class Client(ClientRules):
    """An application. What each attribute means is said where it is configured: `provider.client_settings`.

    Attributes:
        secret_hash: SHA-256 of the secret in hexadecimal digits; None when there is none.
        secret: The secret itself, of one written in `provider.toml`.
        sealed_secret: The secret of one in the database, sealed, where its text is needed for signatures.
        old_secret_hash, old_sealed_secret, old_secret_until: The secret before, and until when it is good.
        read_only: it is written in `provider.toml`.
        own_tokens_from: Tokens that it got for itself before this instant are not good any more.
        face_from: What people agreed to before this instant was for a client that said otherwise who it is.
        registration_hash: Of the token by which it manages its registration; None for one that an operator
            added.
        initial_token_id: The token with which it registered; None where anybody may.
        used_at: Since when a registered one is known to have been given something.
    """

    client_id: str
    enabled: bool
    created_at: int
    name: str
    auth_method: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    flows: tuple[str, ...]
    scopes: tuple[str, ...]
    trusted: bool
    secret_hash: str | None = field(default=None, repr=False)
    secret: Secret | None = field(default=None, repr=False)
    sealed_secret: str | None = field(default=None, repr=False)
    old_secret_hash: str | None = field(default=None, repr=False)
    old_sealed_secret: str | None = field(default=None, repr=False)
    old_secret_until: int | None = None
    read_only: bool = False
    backchannel_logout_uri: str = ""
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str = ""
    frontchannel_logout_session_required: bool = False
    application_type: str = "web"
    token_endpoint_auth_signing_alg: str = ""
    insecure_token_endpoint_audience: bool = False
    jwks_uri: str = ""
    jwks: Mapping[str, Any] = field(default_factory=dict)
    require_pkce: bool = False
    restricted_scopes: tuple[str, ...] = ()
    allowed_users: tuple[str, ...] = ()
    allowed_groups: tuple[str, ...] = ()
    organizations: bool = True
    second_factor: str = "realm"
    client_uri: str = ""
    logo_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    contacts: tuple[str, ...] = ()
    initiate_login_uri: str = ""
    default_max_age: int | None = None
    require_auth_time: bool = False
    default_acr_values: tuple[str, ...] = ()
    subject_type: str = "public"
    sector_identifier_uri: str = ""
    session_management: bool = False
    acr_profile: str = "rfc8176"
    id_token_claims: tuple[str, ...] | None = None
    id_token_signed_response_alg: str = ""
    id_token_encrypted_response_alg: str = ""
    id_token_encrypted_response_enc: str = ""
    userinfo_signed_response_alg: str = ""
    userinfo_encrypted_response_alg: str = ""
    userinfo_encrypted_response_enc: str = ""
    request_uris: tuple[str, ...] = ()
    request_object_signing_alg: str = ""
    request_object_encryption_alg: str = ""
    request_object_encryption_enc: str = ""
    require_signed_request_object: bool = False
    own_tokens_from: int = 0
    face_from: int = 0
    registration_hash: str | None = field(default=None, repr=False)
    initial_token_id: str | None = None
    used_at: int | None = None

    @property
    def is_unused(self) -> bool:
        """It registered itself, and is not known to have been given anything: it may be removed in time."""
        return self.registered_itself and self.used_at is None

    @property
    def registered_itself(self) -> bool:
        """No operator added it."""
        return self.registration_hash is not None

    @property
    def consents_from(self) -> int:
        """Since when what people agreed to is for this client, as what it is now."""
        return max(self.created_at, self.face_from)

    @property
    def needs_pkce(self) -> bool:
        """Whether a request without `code_challenge` is refused."""
        return self.require_pkce or self.public or self.application_type == "native"

    @property
    def token_flows(self) -> frozenset[str]:
        """What it may use at the token endpoint: a code of the hybrid flow is redeemed as any other."""
        return frozenset((*self.flows, *(("authorization_code",) if "hybrid" in self.flows else ())))


#: What has a column of its own, or is not kept.
_SECRETS: Final = (
    "secret_hash", "sealed_secret", "old_secret_hash", "old_sealed_secret", "old_secret_until",
)  # fmt: skip
_COLUMNS: Final = (*_SECRETS, "registration_hash", "initial_token_id", "used_at")
_APART: Final = frozenset({"client_id", "enabled", "created_at", "secret", "read_only", *_COLUMNS})
_SETTINGS: Final = tuple(entry.name for entry in fields(Client) if entry.name not in _APART)


_REGISTERED: Final = clients.c.registration_hash.is_not(None)


def find_client(
    conn: Connection, realm_id: str, client_id: str, *, for_update: bool = False
) -> Client | None:
    """The client of that id, enabled or not.

    Args:
        for_update: it is about to be changed: nobody else changes it until the transaction ends.
    """
    query = select(clients).where(clients.c.realm_id == realm_id, clients.c.client_id == client_id)
    row = conn.execute(to_be_judged(conn, query) if for_update else query).first()
    return None if row is None else _client(row)


def find_clients(conn: Connection, realm_id: str, client_ids: Sequence[str]) -> dict[str, Client]:
    """Those of the given ids that have a row, by id, enabled or not."""
    found: dict[str, Client] = {}
    for asked in portions(client_ids):
        query = select(clients).where(clients.c.realm_id == realm_id, clients.c.client_id.in_(asked))
        found |= {row.client_id: _client(row) for row in conn.execute(query)}
    return found


def list_clients(conn: Connection, realm_id: str, *, after: str = "", limit: int = 1000) -> list[Client]:
    """Clients in the order of their ids, at most `limit`, from the one following `after`."""
    query = select(clients).where(clients.c.realm_id == realm_id, clients.c.client_id > after)
    return [_client(row) for row in conn.execute(query.order_by(clients.c.client_id).limit(limit))]


def list_session_managing(conn: Connection, realm_id: str) -> list[Client]:
    """The enabled clients with `session_management`. Looks at every client of the realm."""
    managing = clients.c.settings["session_management"].as_boolean()
    query = select(clients).where(clients.c.realm_id == realm_id, clients.c.enabled, managing)
    return [_client(row) for row in conn.execute(query)]


def count_clients(conn: Connection, realm_id: str) -> int:
    """How many clients there are."""
    return conn.execute(select(func.count()).where(clients.c.realm_id == realm_id)).scalar_one()


def existing_client_ids(conn: Connection, realm_id: str, client_ids: Sequence[str]) -> set[str]:
    """Those of the given ids that have a row."""
    query = select(clients.c.client_id).where(
        clients.c.realm_id == realm_id, clients.c.client_id.in_(client_ids)
    )
    return set(conn.scalars(query))


def insert_client(conn: Connection, realm_id: str, client: Client) -> None:
    """Add a client.

    Raises:
        sqlalchemy.exc.IntegrityError: the id is taken.
    """
    conn.execute(
        insert(clients).values(
            realm_id=realm_id,
            client_id=client.client_id,
            enabled=client.enabled,
            created_at=client.created_at,
            **_said(client),
        )
    )


def update_client(conn: Connection, realm_id: str, client: Client) -> None:
    """Write down what is said of a client, and its secrets, anew."""
    query = update(clients).where(clients.c.realm_id == realm_id, clients.c.client_id == client.client_id)
    conn.execute(query.values(**_said(client)))


def set_client_enabled(conn: Connection, realm_id: str, client_id: str, enabled: bool) -> bool:
    """Enable or disable a client; False when there is none of that id."""
    query = update(clients).where(clients.c.realm_id == realm_id, clients.c.client_id == client_id)
    return conn.execute(query.values(enabled=enabled)).rowcount == 1


def remove_client(conn: Connection, realm_id: str, client_id: str) -> None:
    """Forget a client. Its grants are the caller's to end."""
    conn.execute(delete(clients).where(clients.c.realm_id == realm_id, clients.c.client_id == client_id))


def count_registered(conn: Connection, realm_id: str) -> int:
    """How many clients registered themselves."""
    query = select(func.count()).where(clients.c.realm_id == realm_id, _REGISTERED)
    return conn.execute(query).scalar_one()


def note_use(conn: Connection, realm_id: str, now: int) -> None:
    """Note of each registered client to which something was given that it was used.

    Ask before grants are deleted: one that hangs on no other row any more would be forgotten.
    """
    given = exists().where(grants.c.realm_id == clients.c.realm_id, grants.c.client_id == clients.c.client_id)
    query = update(clients).where(
        clients.c.realm_id == realm_id, _REGISTERED, clients.c.used_at.is_(None), given
    )
    conn.execute(query.values(used_at=now))


def find_unused(conn: Connection, realm_id: str, *, before: int, limit: int) -> list[str]:
    """Ids of registered clients that came before an instant and were never used, the oldest first.

    They are this transaction's until it ends; those that somebody else has are left out.
    """
    query = (
        select(clients.c.client_id)
        .where(
            clients.c.realm_id == realm_id,
            _REGISTERED,
            clients.c.used_at.is_(None),
            clients.c.created_at < before,
        )
        .order_by(clients.c.created_at)
        .limit(limit)
    )
    return list(conn.scalars(query.with_for_update(skip_locked=True)))


def _client(row: Row[tuple[object, ...]]) -> Client:
    # What a later version does not know any more is left; what this one added since has its default.
    settings = {name: _frozen(value) for name, value in row.settings.items() if name in _SETTINGS}
    return Client(
        client_id=row.client_id,
        enabled=row.enabled,
        created_at=row.created_at,
        **{name: getattr(row, name) for name in _COLUMNS},
        **settings,
    )


def _said(client: Client) -> dict[str, Any]:
    return {
        "settings": {name: _plain(getattr(client, name)) for name in _SETTINGS},
        **{name: getattr(client, name) for name in _COLUMNS},
    }


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
