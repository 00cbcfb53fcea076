"""The secrets of clients: made here, kept as hashes, and sealed where the text itself is needed.

The text is needed to make or check signatures with it (HS256, `client_secret_jwt`); a hash is enough for a
secret that is presented. Which of the two a client is, says `needs_secret_text` of its settings; sealing is
`oidcgate.web.sealing`.
"""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from oidcgate.protocol.errors import ServerError
from oidcgate.settings import Secret
from oidcgate.web.sealing import KeyRing, Sealer
from provider.realm import Realm
from provider.store.clients import Client


def new_client_secret() -> Secret:
    """A secret of 512 bits in 86 characters: enough for HS512, and for those that take 100 at most."""
    return Secret(secrets.token_urlsafe(64))


def secret_hash(secret: str) -> str:
    """What is kept of a client secret: a plain SHA-256, since it is made by machine and cannot be guessed.

    A slow hash would protect nothing here, and cost every token request a third of a second.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def secret_matches(client: Client | None, presented: Secret | None, now: int) -> bool:
    """Whether a secret is that of a client, or the one before while that is good.

    Takes as long when there is no such client.
    """
    given = secret_hash(presented.reveal() if presented is not None else "")
    nobodys = secret_hash("nobody")
    stored = (client.secret_hash if client is not None else None) or nobodys
    old = (client.old_secret_hash if client is not None and _overlaps(client, now) else None) or nobodys
    # Both, whatever the first says.
    equal = hmac.compare_digest(given, stored) | hmac.compare_digest(given, old)
    return equal and presented is not None and given != nobodys


@dataclass(frozen=True)
class ClientSecrets:
    """Seals and opens the secrets of clients in the database.

    Attributes:
        ring: the provider's secrets, which are not in the database.
    """

    ring: KeyRing

    def seal(self, realm: Realm, client_id: str, secret: Secret, now: int) -> str:
        """A secret as it is kept."""
        return self._sealer(realm, client_id).seal(secret.reveal().encode(), now)

    def text(self, realm: Realm, client: Client) -> Secret:
        """The secret of a client whose text is kept.

        Raises:
            ServerError: it is not kept, or the configured secret does not open it.
        """
        if client.secret is not None:
            return client.secret
        return self._open(realm, client, client.sealed_secret)

    def accepted(self, realm: Realm, client: Client, now: int) -> tuple[Secret, ...]:
        """The secrets under which something of a client is believed: its own, and the one before for a while.

        Raises:
            ServerError: one is not kept, or the configured secret does not open it.
        """
        current = self.text(realm, client)
        if client.old_sealed_secret is None or not _overlaps(client, now):
            return (current,)
        return current, self._open(realm, client, client.old_sealed_secret)

    def _open(self, realm: Realm, client: Client, sealed: str | None) -> Secret:
        opened = None if sealed is None else self._sealer(realm, client.client_id).open(sealed)
        if opened is None:
            raise ServerError(detail=f"the secret of client {client.client_id} is not kept or does not open")
        return Secret(opened.decode())

    def _sealer(self, realm: Realm, client_id: str) -> Sealer:
        # Bound to its realm and client: sealed text that is copied to another row does not open there.
        return Sealer(self.ring, "provider-client-secret", f"{realm.id}/{client_id}")


def _overlaps(client: Client, now: int) -> bool:
    return client.old_secret_until is not None and now < client.old_secret_until
