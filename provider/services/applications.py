"""The applications that one person uses: what each may see, what it holds, and taking it all away.

Shared by the account page and the command. Consents are `consents`; tokens hang on grants (`tokens`). An
application is here when the person agreed to something for it that is remembered, or when it holds tokens in
their name: a trusted one is never agreed to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from provider.events import ConsentWithdrawn
from provider.realm import Realm
from provider.services.clients import Clients
from provider.services.consent_record import Consent
from provider.services.consents import Consents
from provider.store.person_tokens import Given, Held, clients_of_user, given_to_clients, held_of_user


@dataclass(frozen=True)
class Application:
    """One application of a person.

    Attributes:
        name: What it is called; its id when it is registered no more.
        scopes: What the person agreed to; for one that is never agreed to, what it was granted last.
        agreed: Whether the person was asked.
        since: When they agreed, or when it was first granted something that is not over.
        tokens: How many that are good now.
        last_given_at: When it got the last of these.
    """

    client_id: str
    name: str
    scopes: tuple[str, ...]
    agreed: bool
    since: int
    tokens: int
    last_given_at: int | None


@dataclass(frozen=True)
class Applications:
    """The applications of everybody."""

    clients: Clients
    consents: Consents

    def of(self, conn: Connection, realm: Realm, user_id: str, now: int) -> tuple[Application, ...]:
        """Those of one person, by name."""
        agreed = {entry.client_id: entry for entry in self.consents.of(conn, realm, user_id).consents}
        held = held_of_user(conn, realm.id, user_id, now)
        given = given_to_clients(conn, realm.id, user_id, held.keys() - agreed.keys())
        ids = sorted(agreed.keys() | given.keys())
        known = {client.client_id: client.name for client in self.clients.find_all(conn, realm, ids)}
        names = {client_id: known.get(client_id) or client_id for client_id in ids}
        return joined(names, agreed, given, held)

    def revoke(
        self, conn: Connection, realm: Realm, user_id: str, client_id: str, now: int, *, by: str
    ) -> ConsentWithdrawn | None:
        """Forget what was agreed to for an application, and end what it was granted.

        Args:
            by: Who says so: `person` or `operator`.

        Returns:
            What to report once it is committed; None when there was nothing.
        """
        return self.consents.withdraw(conn, realm, user_id, client_id, now, by=by)

    def revoke_all(
        self, conn: Connection, realm: Realm, user_id: str, now: int, *, by: str
    ) -> tuple[ConsentWithdrawn, ...]:
        """The same for every application of a person."""
        agreed = [entry.client_id for entry in self.consents.of(conn, realm, user_id).consents]
        found = dict.fromkeys((*agreed, *clients_of_user(conn, realm.id, user_id)))
        ended = [self.revoke(conn, realm, user_id, client_id, now, by=by) for client_id in found]
        return tuple(event for event in ended if event is not None)


def joined(
    names: Mapping[str, str],
    agreed: Mapping[str, Consent],
    given: Mapping[str, Given],
    held: Mapping[str, Held],
) -> tuple[Application, ...]:
    """One entry for each application that is named, in the order in which people look for them. Pure."""
    found = []
    for client_id, name in names.items():
        consent, tokens = agreed.get(client_id), held.get(client_id)
        scopes = given[client_id].scope if consent is None else consent.scopes
        since = given[client_id].since if consent is None else consent.since
        found.append(
            Application(
                client_id=client_id,
                name=name,
                scopes=scopes,
                agreed=consent is not None,
                since=since,
                tokens=0 if tokens is None else tokens.tokens,
                last_given_at=None if tokens is None else tokens.last_given_at,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.client_id)))
