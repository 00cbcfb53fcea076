"""The clients of a realm: those written in `provider.toml` and those in the database, as one.

The written ones are read-only and win nothing: an id in both is refused at start and when one is added.
Whether a client is who it says is `provider.services.authenticate_client`; the rows are
`provider.store.clients`.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from oidcgate.settings import Check, Problem, Secret, SettingsError, parse
from provider.client_crypto import SECRET_DECIDING
from provider.client_settings import ClientSettings
from provider.config import ProviderSettings
from provider.realm import DEFAULT_REALM, Realm, realms_of
from provider.services.client_secrets import ClientSecrets, new_client_secret, secret_hash
from provider.store.clients import (
    Client,
    count_clients,
    existing_client_ids,
    find_client,
    find_clients,
    insert_client,
    list_clients,
    list_session_managing,
    remove_client,
    set_client_enabled,
    update_client,
)
from provider.store.device_codes import delete_device_codes_of
from provider.store.grants import revoke_client_grants
from provider.user_settings import fold_user_name


class ReadOnlyObject(Exception):
    """The client or user is written in the configuration, so it is changed there."""


class UnknownObject(Exception):
    """There is no client or user of that name."""


class Registration(NamedTuple):
    """How a client came that registered itself; the attributes are those of `Client`."""

    registration_hash: str
    initial_token_id: str | None


class NewClient(NamedTuple):
    """A client as it was just written, with the only copy there will ever be of a secret that was made."""

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

    def find(
        self, conn: Connection, realm: Realm, client_id: str, *, for_update: bool = False
    ) -> Client | None:
        """The client of that id, enabled or not: the caller looks at `enabled`.

        Args:
            for_update: Nobody changes one of the database until a transaction that writes has ended.
        """
        written = self.configured[realm.id].get(client_id)
        # A longer one is in no row, and some databases refuse NUL in a parameter.
        if written is not None or len(client_id) > 100 or "\0" in client_id:
            return written
        return find_client(conn, realm.id, client_id, for_update=for_update)

    def find_all(self, conn: Connection, realm: Realm, client_ids: Sequence[str]) -> "list[Client]":
        """Those of these ids that there are, in that order."""
        written = self.configured[realm.id]
        found = {**find_clients(conn, realm.id, [one for one in client_ids if one not in written]), **written}
        return [found[client_id] for client_id in client_ids if client_id in found]

    def configured_with(self, realm: Realm, setting: str) -> "list[str]":
        """The ids of the enabled clients of the file that have something in a setting."""
        configured = self.configured[realm.id].values()
        return [client.client_id for client in configured if client.enabled and getattr(client, setting)]

    def list(self, conn: Connection, realm: Realm) -> Iterable[Client]:
        """The written ones, then those of the database, each in the order of their ids."""
        yield from sorted(self.configured[realm.id].values(), key=lambda client: client.client_id)
        after = ""
        while page := list_clients(conn, realm.id, after=after):
            yield from page
            after = page[-1].client_id

    def session_managing(self, conn: Connection, realm: Realm) -> Iterable[Client]:
        """The enabled ones with `session_management`, in no order. Looks at every client of the realm."""
        written = self.configured[realm.id].values()
        yield from (client for client in written if client.enabled and client.session_management)
        yield from list_session_managing(conn, realm.id)

    def count(self, conn: Connection, realm: Realm) -> int:
        """How many there are, enabled or not."""
        return len(self.configured[realm.id]) + count_clients(conn, realm.id)

    def judge(
        self,
        realm: Realm,
        said: Mapping[str, Any],
        current: Client | None = None,
        *,
        checks: tuple[Check, ...] = (),
    ) -> None:
        """Judge settings as `add` and `change` do, before others are asked because of them; writes nothing.

        Args:
            current: The client as it is, where that is going to be changed.
            checks: further rules over what results.

        Raises:
            SettingsError: they are wrong.
        """
        before = {} if current is None else {name: getattr(current, name) for name in _ALIKE}
        said = {"subject_type": realm.settings.subjects.default, "client_id": "new", **before, **said}
        secret = new_client_secret() if _needing(said).needs_secret else None
        self._read(realm, {**said, "client_secret": secret}, checks)

    def add(
        self,
        conn: Connection,
        realm: Realm,
        said: Mapping[str, Any],
        now: int,
        *,
        checks: tuple[Check, ...] = (),
        registration: Registration | None = None,
    ) -> NewClient:
        """Add a client to the database. A secret is made for it if it needs one.

        Args:
            said: what `[[clients]]` would say of it but for a secret; an empty `client_id` is made up.
            checks: further rules over what results.
            registration: how it came, if it registered itself.

        Raises:
            SettingsError: its settings are wrong, or the id is taken.
        """
        client_id = said.get("client_id") or f"client-{secrets.token_hex(8)}"
        said = {"subject_type": realm.settings.subjects.default, **said}
        secret = new_client_secret() if _needing(said).needs_secret else None
        wanted = self._read(realm, {**said, "client_id": client_id, "client_secret": secret}, checks)
        client = replace(self._stored(realm, wanted, now), created_at=now)
        if registration is not None:
            client = replace(client, **registration._asdict())
        taken = Problem(
            "client_id",
            client_id,
            "is taken by a client",
            "choose another, or change that one by `client set`",
        )
        if client_id in self.configured[realm.id]:
            raise SettingsError([taken])
        try:
            insert_client(conn, realm.id, client)
        except IntegrityError:
            raise SettingsError([taken]) from None
        return NewClient(client, secret)

    def change(
        self,
        conn: Connection,
        realm: Realm,
        client_id: str,
        changes: Mapping[str, Any],
        now: int,
        *,
        new_secret: bool = False,
        missing_secret: bool = False,
        checks: tuple[Check, ...] = (),
    ) -> NewClient:
        """Change what is said of a client of the database; what results is judged as a whole.

        Args:
            changes: what `[[clients]]` would say in place of what is said now.
            new_secret: make one in place of the one there is, which ends; for a client that had none, or
                whose secret is kept as a hash and is needed to sign with now.
            missing_secret: make one in these last two cases alone.
            checks: further rules over what results.

        Raises:
            SettingsError: what results is wrong.
            ReadOnlyObject: it is written in the file.
            UnknownObject: there is none of that id.
        """
        current = self._own(conn, realm, client_id)
        said = {**{name: getattr(current, name) for name in _ALIKE}, **changes, "client_id": client_id}
        needing = _needing(said)
        made = new_client_secret() if new_secret and needing.needs_secret else None
        kept: dict[str, Any] = {"client_secret": made}
        if made is None and needing.needs_secret_text and current.sealed_secret is not None:
            kept = {"client_secret": self.secrets.text(realm, current)}
        elif made is None and needing.needs_secret:
            if not needing.needs_secret_text and current.secret_hash is not None:
                kept = {"client_secret_sha256": current.secret_hash}
            elif missing_secret:
                made = new_client_secret()
                kept = {"client_secret": made}
            else:
                raise SettingsError([_NO_SECRET])
        wanted = self._read(realm, {**said, **kept}, checks)
        stored = self._stored(realm, wanted, now)
        changed = replace(
            current,
            **{name: getattr(stored, name) for name in _ALIKE if name != "enabled"},
            secret_hash=stored.secret_hash,
            sealed_secret=stored.sealed_secret,
        )
        if made is not None or not needing.needs_secret:
            changed = replace(changed, old_secret_hash=None, old_sealed_secret=None, old_secret_until=None)
        elif not needing.needs_secret_text:
            changed = replace(changed, old_sealed_secret=None)
        update_client(conn, realm.id, changed)
        return NewClient(changed, made)

    def renew_secret(
        self, conn: Connection, realm: Realm, client_id: str, now: int, *, overlap_seconds: int = 0
    ) -> NewClient:
        """Make a new secret for a client of the database; what it signs is signed with that from now on.

        Args:
            overlap_seconds: how long the one before proves the client still; one that was still good before
                that ends now.

        Raises:
            SettingsError: it has no secret.
            ReadOnlyObject: it is written in the file.
            UnknownObject: there is none of that id.
        """
        current = self._own(conn, realm, client_id)
        needing = _needing({name: getattr(current, name) for name in _ALIKE})
        if not needing.needs_secret:
            problem = Problem(
                "auth_method", current.auth_method, "needs no secret",
                "change it with `oidcgate-provider client set` and --new-secret",
            )  # fmt: skip
            raise SettingsError([problem])
        secret, overlap = new_client_secret(), overlap_seconds > 0
        sealed = self.secrets.seal(realm, client_id, secret, now) if needing.needs_secret_text else None
        changed = replace(
            current,
            secret_hash=secret_hash(secret.reveal()),
            sealed_secret=sealed,
            old_secret_hash=current.secret_hash if overlap else None,
            old_sealed_secret=current.sealed_secret if overlap else None,
            old_secret_until=now + overlap_seconds if overlap else None,
        )
        update_client(conn, realm.id, changed)
        return NewClient(changed, secret)

    def _own(self, conn: Connection, realm: Realm, client_id: str) -> Client:
        if client_id in self.configured[realm.id]:
            raise ReadOnlyObject(f"client {client_id} is written in the configuration: change it there")
        client = find_client(conn, realm.id, client_id, for_update=True)
        if client is None:
            raise UnknownObject(f"there is no client {client_id} in realm {realm.id}")
        return client

    def _read(self, realm: Realm, said: Mapping[str, Any], further: tuple[Check, ...]) -> ClientSettings:
        """The settings, if nothing is wrong with them, be it with one, among them, or in this realm."""
        settings = realm.settings
        checks: tuple[Check, ...] = (
            lambda client: client.url_problems(self.allow_http_loopback),
            lambda client: client.algorithm_problems(settings.offered_algorithms),
            lambda client: client.request_object_problems(settings.request_objects),
            lambda client: client.second_factor_problems(settings.second_factor.mode),
            lambda client: client.subject_problems(settings.subjects.types),
            lambda client: client.catalogue_problems(settings.scope_names, realm.catalogue.claims),
        )
        return parse(ClientSettings, said, checks=(*checks, *further))

    def _stored(self, realm: Realm, settings: ClientSettings, now: int) -> Client:
        """As it is kept in the database: its secret sealed if the text is needed, and else as a hash."""
        sealed = None
        if settings.client_secret is not None and settings.needs_secret_text:
            sealed = self.secrets.seal(realm, settings.client_id, settings.client_secret, now)
        return replace(_configured(settings), read_only=False, secret=None, sealed_secret=sealed)

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
            # What it got for itself has no row; and one of this very second may be from before.
            ended = replace(self._own(conn, realm, client_id), own_tokens_from=now + 1)
            update_client(conn, realm.id, ended)

    def remove(self, conn: Connection, realm: Realm, client_id: str, now: int) -> None:
        """Take a client out of the database, and end everything it was given for good.

        Another one that is given its id later has nothing of it: not even what people agreed to
        (`consents`).

        Raises:
            ReadOnlyObject: it is written in the file.
            UnknownObject: there is none of that id.
        """
        self._own(conn, realm, client_id)
        revoke_client_grants(conn, realm.id, client_id, now, "client_removed")
        delete_device_codes_of(conn, realm.id, client_id)
        remove_client(conn, realm.id, client_id)

    def collisions(self, conn: Connection, realm: Realm) -> Iterable[Problem]:
        """Ids that are both in the file and in the database."""
        for client_id in sorted(existing_client_ids(conn, realm.id, list(self.configured[realm.id]))):
            yield Problem(
                "clients", client_id, "is also in the database",
                "rename or remove the client in the file: two clients cannot have one id",
            )  # fmt: skip


def people_are_others(before: Client, after: Client) -> bool:
    """Whether a change of a client changes the `sub` of its people."""
    return before.subject_sector != after.subject_sector


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


def _needing(said: Mapping[str, Any]) -> ClientSettings:
    """Settings that are good for one question: which secret they need."""
    named: dict[str, Any] = {name: str(said[name]) for name in SECRET_DECIDING if name in said}
    return ClientSettings(client_id="?", **named)


_NO_SECRET: Final = Problem(
    "client_secret", None, "is not there in a form that this needs",
    "make a new one in the same step, with --new-secret",
)  # fmt: skip
#: What a client is as it is configured.
_ALIKE: Final = tuple(
    {entry.name for entry in fields(Client)} & {entry.name for entry in fields(ClientSettings)}
)
