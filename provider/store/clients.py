"""Rows of `clients`.

Clients written in `provider.toml` are not here: `provider.services.clients` joins the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, insert, select, update

from provider.store.schema import clients


@dataclass(frozen=True)
class Client:
    """An application.

    Attributes:
        secret_hash: SHA-256 of the secret in hexadecimal digits; None for a public client.
        second_factor: `realm` for the realm's mode, else a mode of its own.
        acr_profile: the vocabulary of its `acr` and `amr`.
        read_only: it is written in `provider.toml`.
    """

    client_id: str
    name: str
    enabled: bool
    secret_hash: str | None = field(repr=False)
    auth_method: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    flows: frozenset[str]
    scopes: frozenset[str]
    trusted: bool
    created_at: int
    second_factor: str = "realm"
    acr_profile: str = "rfc8176"
    read_only: bool = False

    @property
    def public(self) -> bool:
        """It has no secret, so only PKCE binds a code to it."""
        return self.auth_method == "none"


def find_client(conn: Connection, realm_id: str, client_id: str) -> Client | None:
    """The client of that id, enabled or not."""
    row = conn.execute(
        select(clients).where(clients.c.realm_id == realm_id, clients.c.client_id == client_id)
    ).first()
    return None if row is None else _client(row)


def list_clients(conn: Connection, realm_id: str, *, after: str = "", limit: int = 1000) -> list[Client]:
    """Clients in the order of their ids, at most `limit`, from the one following `after`."""
    query = select(clients).where(clients.c.realm_id == realm_id, clients.c.client_id > after)
    return [_client(row) for row in conn.execute(query.order_by(clients.c.client_id).limit(limit))]


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
            name=client.name,
            enabled=client.enabled,
            secret_hash=client.secret_hash,
            auth_method=client.auth_method,
            redirect_uris=list(client.redirect_uris),
            post_logout_redirect_uris=list(client.post_logout_redirect_uris),
            flows=sorted(client.flows),
            scopes=sorted(client.scopes),
            trusted=client.trusted,
            second_factor=client.second_factor,
            acr_profile=client.acr_profile,
            created_at=client.created_at,
        )
    )


def set_client_enabled(conn: Connection, realm_id: str, client_id: str, enabled: bool) -> bool:
    """Enable or disable a client; False when there is none of that id."""
    query = update(clients).where(clients.c.realm_id == realm_id, clients.c.client_id == client_id)
    return conn.execute(query.values(enabled=enabled)).rowcount == 1


def _client(row: Row[tuple[object, ...]]) -> Client:
    return Client(
        client_id=row.client_id,
        name=row.name,
        enabled=row.enabled,
        secret_hash=row.secret_hash,
        auth_method=row.auth_method,
        redirect_uris=tuple(row.redirect_uris),
        post_logout_redirect_uris=tuple(row.post_logout_redirect_uris),
        flows=frozenset(row.flows),
        scopes=frozenset(row.scopes),
        trusted=row.trusted,
        created_at=row.created_at,
        second_factor=row.second_factor,
        acr_profile=row.acr_profile,
    )
