"""The clients of a realm: those written in `provider.toml` and those in the database, as one.

The written ones are read-only and win nothing: an id in both is refused at start and when one is added.
Whether a client is who it says is `provider.services.authenticate_client`; the rows are
`provider.store.clients`.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from oidcgate.settings import Problem, Secret, SettingsError, contradictions
from provider.client_settings import ClientSettings
from provider.config import ProviderSettings, fold_user_name
from provider.realm import DEFAULT_REALM, Realm, realms_of
from provider.services.client_secrets import ClientSecrets, new_client_secret, secret_hash
from provider.store.clients import (
    Client,
    existing_client_ids,
    find_client,
    insert_client,
    list_clients,
    set_client_enabled,
)
from provider.store.grants import revoke_client_grants


class ReadOnlyObject(Exception):
    """The client or user is written in the configuration, so it is changed there."""


class UnknownObject(Exception):
    """There is no client or user of that name."""


class NewClient(NamedTuple):
    """A client that was just added, with the only copy of its secret there will ever be."""

    client: Client
    secret: Secret | None


@dataclass(frozen=True)
class Clients:
    """Every client, by realm.

    Attributes:
        configured: realm id -> client id -> client, for those written in the file.
        allow_http_loopback: `insecure_allow_http_loopback` of the configuration, for redirect URIs.
    """

    configured: Mapping[str, Mapping[str, Client]]
    allow_http_loopback: bool
    secrets: ClientSecrets

    @classmethod
    def from_settings(cls, settings: ProviderSettings, secrets: ClientSecrets) -> "Clients":
        """Those written in the file; what is in the database is read when asked for."""
        configured = {
            realm.id: {c.client_id: _configured(c) for c in realm.settings.clients}
            for realm in realms_of(settings)
        }
        return cls(configured, settings.insecure_allow_http_loopback, secrets)

    def deprecations(self) -> Iterable[str]:
        """What the written clients use that is going to end, each in a sentence that names the client."""
        for realm_id, configured in self.configured.items():
            for client in configured.values():
                said = deprecation(client)
                if said is not None:
                    yield said if realm_id == DEFAULT_REALM else f"realm {realm_id}: {said}"

    def find(self, conn: Connection, realm: Realm, client_id: str) -> Client | None:
        """The client of that id, enabled or not: the caller looks at `enabled`."""
        written = self.configured[realm.id].get(client_id)
        # A longer one is in no row, and some databases refuse NUL in a parameter.
        if written is not None or len(client_id) > 100 or "\0" in client_id:
            return written
        return find_client(conn, realm.id, client_id)

    def list(self, conn: Connection, realm: Realm) -> Iterable[Client]:
        """The written ones, then those of the database, each in the order of their ids."""
        yield from sorted(self.configured[realm.id].values(), key=lambda client: client.client_id)
        after = ""
        while page := list_clients(conn, realm.id, after=after):
            yield from page
            after = page[-1].client_id

    def add(self, conn: Connection, realm: Realm, wanted: ClientSettings, now: int) -> NewClient:
        """Add a client to the database. A secret is made for it if it needs one.

        Args:
            wanted: its settings, with an empty `client_id` for one that is made up, and without a secret.

        Raises:
            SettingsError: its settings are wrong, or the id is taken.
        """
        client_id = wanted.client_id or f"client-{secrets.token_hex(8)}"
        secret = new_client_secret() if wanted.needs_secret else None
        complete = replace(wanted, client_id=client_id, client_secret=secret)
        problems = [
            *contradictions(complete),
            *complete.url_problems(self.allow_http_loopback),
            *complete.algorithm_problems(realm.settings.offered_algorithms),
            *complete.second_factor_problems(realm.settings.second_factor.mode),
            *complete.catalogue_problems(realm.catalogue.scopes, realm.catalogue.claims),
        ]
        if problems:
            raise SettingsError(problems)
        sealed = None
        if secret is not None and complete.needs_secret_text:
            sealed = self.secrets.seal(realm, client_id, secret, now)
        client = replace(
            _configured(complete), created_at=now, read_only=False, secret=None, sealed_secret=sealed
        )
        taken = Problem("client_id", client_id, "is taken by another client", "choose another")
        if client_id in self.configured[realm.id]:
            raise SettingsError([taken])
        try:
            insert_client(conn, realm.id, client)
        except IntegrityError:
            raise SettingsError([taken]) from None
        return NewClient(client, secret)

    def set_enabled(self, conn: Connection, realm: Realm, client_id: str, enabled: bool, now: int) -> None:
        """Enable or disable a client of the database.

        Disabling ends its tokens for good, since its secret may be in other hands: enabling it again brings
        none of them back.

        Raises:
            ReadOnlyObject: it is written in the file.
            UnknownObject: there is none of that id.
        """
        if client_id in self.configured[realm.id]:
            raise ReadOnlyObject(
                f"client {client_id} is written in the configuration: set its `enabled` there"
            )
        if not set_client_enabled(conn, realm.id, client_id, enabled):
            raise UnknownObject(f"there is no client {client_id} in realm {realm.id}")
        if not enabled:
            revoke_client_grants(conn, realm.id, client_id, now, "client_disabled")

    def collisions(self, conn: Connection, realm: Realm) -> Iterable[Problem]:
        """Ids that are both in the file and in the database."""
        prefix = "clients" if realm.id == DEFAULT_REALM else f"realms.{realm.id}.clients"
        for client_id in sorted(existing_client_ids(conn, realm.id, list(self.configured[realm.id]))):
            yield Problem(
                prefix, client_id, "is also in the database",
                "rename or remove the client in the file: two clients cannot have one id",
            )  # fmt: skip


def deprecation(client: Client) -> str | None:
    """What a client uses that is going to end; None for nothing.

    Spec: RFC 9700 2.1.2.
    """
    if "implicit" not in client.flows:
        return None
    return (
        f"client {client.client_id} uses the implicit flow, which is deprecated and will be removed: move it "
        "to the authorization code flow with PKCE"
    )


def _configured(settings: ClientSettings) -> Client:
    digest = settings.client_secret_sha256
    if settings.client_secret is not None:
        digest = secret_hash(settings.client_secret.reveal())
    alike = {name: getattr(settings, name) for name in _ALIKE}
    alike["name"] = settings.name or settings.client_id
    alike["allowed_users"] = tuple(fold_user_name(name) for name in settings.allowed_users)
    return Client(**alike, created_at=0, secret_hash=digest, secret=settings.client_secret, read_only=True)


#: What a client is as it is configured.
_ALIKE: Final = tuple(
    {entry.name for entry in fields(Client)} & {entry.name for entry in fields(ClientSettings)}
)
