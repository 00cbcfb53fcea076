"""Whether a client is who it says, by the one method it is registered for.

Taking the credentials out of a request is `oidcgate.protocol.client_auth`; who exists is
`provider.services.clients`.
"""

import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import Connection

from oidcgate.protocol.client_auth import PresentedClient
from oidcgate.protocol.errors import InvalidClient
from provider.realm import Realm
from provider.services.clients import Clients, secret_hash
from provider.store.clients import Client

Check = Callable[[Client | None, PresentedClient], bool]


class AuthenticatedClient(NamedTuple):
    """A client that proved itself, or that is public and cannot. Only `authenticate_client` makes one."""

    client: Client


def _secret_matches(client: Client | None, presented: PresentedClient) -> bool:
    given = secret_hash(presented.secret.reveal() if presented.secret is not None else "")
    # Compared also when there is no such client: how long the answer takes does not tell which ids exist.
    stored = (client.secret_hash if client is not None else None) or secret_hash("nobody")
    equal = hmac.compare_digest(given, stored)
    return equal and presented.secret is not None and client is not None and client.secret_hash is not None


def _is_public(client: Client | None, presented: PresentedClient) -> bool:
    return client is not None and client.public and presented.secret is None


#: Method of the request -> what proves the client. A method that is not here is not offered in the metadata.
METHODS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "client_secret_basic": _secret_matches,
        "client_secret_post": _secret_matches,
        "none": _is_public,
    }
)


def authenticate_client(
    conn: Connection, realm: Realm, clients: Clients, presented: PresentedClient
) -> AuthenticatedClient:
    """Return the client that the request proves to come from.

    Raises:
        InvalidClient: unknown, disabled, wrong secret, or not the method it is registered for; the answer
            does not say which, `detail` does.

    Spec: RFC 6749 2.3, 5.2; OIDC Core 9.
    """
    client = clients.find(conn, realm, presented.client_id)
    check = METHODS.get(presented.method)
    proven = check is not None and check(client, presented)
    if client is None:
        raise _refused("unknown client")
    if client.auth_method != presented.method:
        raise _refused(f"registered for {client.auth_method}, came with {presented.method}")
    if not proven:
        raise _refused("wrong secret")
    if not client.enabled:
        raise _refused("client disabled")
    return AuthenticatedClient(client)


def _refused(detail: str) -> InvalidClient:
    return InvalidClient("client authentication failed", detail=detail)
