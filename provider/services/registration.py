"""Applications that register themselves: who may, what becomes of what they say, and how they manage it.

Pages and commands are not asked here: an application comes with a token. The one that lets it register was
made by an operator (`initial_tokens`), the one that lets it read, change and delete its registration it is
given then. What it may be is `registration_policy`; its own words for that are `client_metadata`.
"""

import hmac
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection

from oidcgate.protocol.bearer import NoToken
from oidcgate.protocol.errors import (
    InvalidClientMetadata,
    InvalidRequest,
    InvalidToken,
    SlowDown,
    TemporarilyUnavailable,
)
from oidcgate.protocol.registration import SAID_BY_THE_SERVER, check_with_authlib
from oidcgate.settings import Check, SettingsError
from provider.realm import Realm
from provider.services.client_metadata import metadata_of, refusal, settings_of
from provider.services.client_secrets import secret_hash
from provider.services.clients import Clients, NewClient, Registration
from provider.services.opaque import new_token, token_hash
from provider.services.registration_policy import allowed_scopes, policy_checks, policy_powers
from provider.services.sectors import Sectors
from provider.services.throttle import registration_scopes_of, take_attempt
from provider.store.clients import Client, count_registered, update_client
from provider.store.engine import Store, lock_names
from provider.store.initial_tokens import is_good_initial_token, use_initial_token

_log = logging.getLogger("provider")

#: Where clients register, and where each manages what it registered.
PATH: Final = "/register"
#: Nobody's: compared with where there is no client, so that this takes as long.
_NOBODYS: Final = token_hash("")
#: What people agree to is for who has these: what they are told, where it goes, and by what name of them.
_FACE: Final = ("name", "redirect_uris", "subject_sector")


@dataclass(frozen=True)
class Registered:
    """A client as it stands now, and what only it is told.

    Attributes:
        access_token: With which it manages its registration; only its hash is kept.
    """

    made: NewClient
    access_token: str

    @property
    def client(self) -> Client:
        """The client."""
        return self.made.client

    def document(self, realm: Realm) -> dict[str, Any]:
        """What it is told. A secret is there when it was just made. Spec: RFC 7591 3.2.1; RFC 7592 3."""
        client, secret = self.made
        settings = realm.settings
        return {
            "client_id": client.client_id,
            "client_id_issued_at": client.created_at,
            **({} if secret is None else {"client_secret": secret.reveal(), "client_secret_expires_at": 0}),
            "registration_access_token": self.access_token,
            "registration_client_uri": f"{realm.url(PATH)}?client_id={client.client_id}",
            **metadata_of(
                client,
                signing_algorithm=settings.signing_algorithm,
                bare_tokens=settings.insecure_oauth_implicit,
            ),
        }


@dataclass(frozen=True)
class Registrations:
    """Registers clients, over whoever keeps them. What is given as `token` is a text, good or not."""

    store: Store
    clients: Clients
    sectors: Sectors
    clock: Callable[[], float]

    def admit(self, realm: Realm, token: str | None, network: str) -> None:
        """Let somebody in who may register a client; nothing is used up yet.

        Args:
            token: The initial access token; None where none was shown.

        Raises:
            InvalidToken: it is none, used up, expired or revoked.
            NoToken: there has to be one.
            SlowDown: too many come from that network where anybody may.
        """
        now = int(self.clock())
        if token is not None:
            with self.store.read() as conn:
                if not is_good_initial_token(conn, realm.id, token_hash(token), now):
                    raise InvalidToken(_NOT_GOOD, detail="initial access token")
            return
        policy = realm.settings.registration
        if not policy.insecure_open_registration:
            raise NoToken("an initial access token is needed")
        scopes = registration_scopes_of(network, policy.per_network, realm.settings.throttle)
        with self.store.begin() as conn:
            wait = take_attempt(conn, realm.id, scopes, now)
        if wait:
            raise SlowDown("Too many clients registered in this network.", retry_after_seconds=wait)

    def register(self, realm: Realm, token: str | None, metadata: Mapping[str, Any]) -> Registered:
        """Register a client for somebody who was admitted; the token is used in the same transaction.

        Raises:
            InvalidToken: it was used up meanwhile.
            InvalidRedirectUri, InvalidClientMetadata: what would result may not be.
            TemporarilyUnavailable: there are as many as there may be, or the array of a sector is waited for.

        Spec: RFC 7591 3.1, 3.2; OIDC Registration 3.1, 3.2.
        """
        now, access_token = int(self.clock()), new_token()
        wanted = self._wanted(realm, metadata)
        with self.store.read() as conn:
            self._room(conn, realm)
        who = "anybody" if token is None else token_hash(token)
        self._judge(realm, wanted, None, f"registration {realm.id} {who}")
        with self.store.begin() as conn, _in_its_words():
            token_id = None
            if token is not None:
                token_id = use_initial_token(conn, realm.id, token_hash(token), now)
                if token_id is None:
                    raise InvalidToken(_NOT_GOOD, detail="initial access token")
            # Counted by one at a time, so that there is never one too many.
            lock_names(conn, [f"registrations {realm.id}"])
            self._room(conn, realm)
            registration = Registration(token_hash(access_token), token_id)
            made = self.clients.add(
                conn, realm, wanted, now, checks=_checks(realm), registration=registration
            )
            registered = Registered(made, access_token)
            check_with_authlib(registered.document(realm))
        return registered

    def read(self, realm: Realm, client_id: str, token: str) -> Registered:
        """What is registered of the client that shows its token.

        Raises:
            InvalidToken: it is not that client's, or there is no such client; the answer does not say which.

        Spec: RFC 7592 2.1.
        """
        with self.store.read() as conn:
            return Registered(NewClient(self._proven(conn, realm, client_id, token), None), token)

    def replace(self, realm: Realm, client_id: str, token: str, metadata: Mapping[str, Any]) -> Registered:
        """Put what a client says of itself now in place of everything it said before.

        What an operator set and no member says stays; its secret stays too, and is made where there is none
        in the form that is needed now. Where it says otherwise who it is, people are asked anew.

        Raises:
            InvalidToken: as for `read`.
            InvalidRequest: it says what is not its own to say, or is another's.
            InvalidRedirectUri, InvalidClientMetadata: what would result may not be.

        Spec: RFC 7592 2.2.
        """
        now = int(self.clock())
        for member in SAID_BY_THE_SERVER:
            if member in metadata:
                raise InvalidRequest(f"{member} is not the client's to say.")
        if metadata.get("client_id") != client_id:
            raise InvalidRequest("client_id has to be there, and the same.")
        wanted = self._wanted(realm, metadata)
        # Proven first: nobody else has us ask other servers.
        known = self.read(realm, client_id, token).client
        self._judge(realm, wanted, known, client_id)
        with self.store.begin() as conn, _in_its_words():
            current = self._proven(conn, realm, client_id, token)
            if "client_secret" in metadata and not _is_secret_of(current, metadata["client_secret"]):
                raise InvalidRequest("client_secret is not that of this client.")
            made = self.clients.change(
                conn, realm, client_id, wanted, now, missing_secret=True, checks=_checks(realm)
            )
            if any(getattr(current, name) != getattr(made.client, name) for name in _FACE):
                # Later than any consent so far, be it of this very second, and than any change.
                face_from = max(now, current.face_from) + 1
                made = made._replace(client=replace(made.client, face_from=face_from))
                update_client(conn, realm.id, made.client)
            registered = Registered(made, token)
            check_with_authlib(registered.document(realm))
        return registered

    def delete(self, realm: Realm, client_id: str, token: str) -> Client:
        """Remove a client that asks for it, with everything it was given.

        Raises:
            InvalidToken: as for `read`.

        Spec: RFC 7592 2.3.
        """
        with self.store.begin() as conn:
            client = self._proven(conn, realm, client_id, token)
            self.clients.remove(conn, realm, client_id, int(self.clock()))
        return client

    def _judge(self, realm: Realm, wanted: Mapping[str, Any], current: Client | None, who: str) -> None:
        """Refuse what may not be; only what else might has the array of its sector asked for."""
        with _in_its_words():
            self.clients.judge(realm, wanted, current, checks=_checks(realm))
        try:
            self.sectors.check(wanted, current, stranger=who)
        except SettingsError as error:
            # One text for every reason: what was found would tell a stranger what there is in our network.
            raise InvalidClientMetadata(_NO_SECTOR, detail=str(error)) from None

    @staticmethod
    def _wanted(realm: Realm, metadata: Mapping[str, Any]) -> dict[str, Any]:
        policy = realm.settings.registration
        scopes = allowed_scopes(policy, realm.settings.scope_names)
        metadata = {"subject_type": realm.settings.subjects.default, **metadata}
        asked = settings_of(metadata, default_scopes=scopes, given_flows=policy.flows)
        # No member asks for it. Who has it from an operator keeps it.
        return asked | dict.fromkeys(policy_powers(policy), True)

    @staticmethod
    def _room(conn: Connection, realm: Realm) -> None:
        most = realm.settings.registration.max_clients
        if count_registered(conn, realm.id) >= most:
            _log.warning(
                "realm %s has %d registered clients, which is registration.max_clients", realm.id, most
            )
            raise TemporarilyUnavailable("no more clients can be registered", detail="max_clients")

    def _proven(self, conn: Connection, realm: Realm, client_id: str, token: str) -> Client:
        client = self.clients.find(conn, realm, client_id, for_update=True)
        kept = (client.registration_hash if client is not None else None) or _NOBODYS
        equal = hmac.compare_digest(token_hash(token), kept)
        if client is None or client.registration_hash is None or not equal or not client.enabled:
            raise InvalidToken(_NOT_GOOD, detail="registration access token")
        return client


_NO_SECTOR: Final = "sector_identifier_uri: leads to no JSON array that lists every redirect URI"
_NOT_GOOD: Final = "the token is not good here"


def _checks(realm: Realm) -> tuple[Check, ...]:
    return policy_checks(realm.settings.registration, realm.settings.scope_names, realm.issuer)


def _is_secret_of(client: Client, presented: object) -> bool:
    given = secret_hash(presented if isinstance(presented, str) else "")
    return hmac.compare_digest(given, client.secret_hash or _NOBODYS) and client.secret_hash is not None


@contextmanager
def _in_its_words() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise refusal(error.problems) from None
