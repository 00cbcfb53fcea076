"""The public keys of clients: those written in their settings, and those they publish at their `jwks_uri`.

Fetching one takes as long as somebody else's server likes, so it never happens while a transaction is open:
whoever will need a key inside one asks `prepare` before, and inside is given what is remembered. Few threads
wait for one client, whatever its addresses are called (`outbound`); which key fits is `oidcgate.jose`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from cachetools import LRUCache

from oidcgate.jose.jwe import encrypt
from oidcgate.jose.keys import UnusableKey, VerificationKey, import_public_keys
from oidcgate.jose.remote import KeysUnavailable, RemoteKeySet, TooManyWait
from oidcgate.net.fetch import Fetcher
from oidcgate.protocol.errors import TemporarilyUnavailable
from provider.client_crypto import DEFAULT_ENC
from provider.services.outbound import Outbound, busy
from provider.store.clients import Client

#: After so long a key set is fetched anew without a reason: a key that a client took back is gone by then.
KEY_SET_SECONDS: Final = 600


class ClientKeysUnavailable(Exception):
    """A client has no key, or none could be fetched. The message, which is for the log, says which."""


@dataclass(frozen=True)
class ClientKeys:
    """Keys of clients, for all threads of a process.

    Attributes:
        sets: what was fetched, by what asks and URL; bounded, the longest unused goes first.
    """

    outbound: Outbound
    clock: Callable[[], float]
    sets: "LRUCache[tuple[Fetcher, str], RemoteKeySet]" = field(
        default_factory=lambda: LRUCache(maxsize=1000), repr=False
    )
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def verification_keys(self, client: Client, kid: str | None) -> tuple[VerificationKey, ...]:
        """The keys that may have signed what a client says it signed. May fetch.

        Args:
            kid: which of them a token names; an unknown one is looked for at the `jwks_uri` again.

        Raises:
            ClientKeysUnavailable: there are none, or they could not be fetched.
            TemporarilyUnavailable: enough threads wait for this client's servers.
        """
        if not client.jwks_uri:
            try:
                return import_public_keys(client.jwks)
            except UnusableKey as error:
                raise ClientKeysUnavailable(f"jwks: {error}") from None
        try:
            return self._set(client).keys_for(kid, self.outbound.one_more(client.client_id))
        except TooManyWait:
            raise busy() from None
        except KeysUnavailable as error:
            raise _unfetched(error) from None

    def prepare(self, client: Client, alg: str) -> None:
        """See to it that what a client gets can be encrypted. May fetch; call it outside of a transaction.

        Args:
            alg: how the key is used, one of the client's `…_encrypted_response_alg`; "" for not at all.

        Raises:
            TemporarilyUnavailable: it cannot, so the client must not be answered.
        """
        if not alg:
            return
        try:
            key = self._set(client).encryption_key(alg, self.outbound.one_more(client.client_id))
        except TooManyWait:
            raise busy() from None
        except KeysUnavailable as error:
            raise TemporarilyUnavailable(_CANNOT, detail=str(_unfetched(error))) from None
        if key is None:
            raise _no_key(client, alg)

    def encrypter(self, client: Client, alg: str, enc: str) -> Callable[[str], str] | None:
        """What encrypts a signed token for a client, with a key that `prepare` found; None where `alg` is "".

        Fetches nothing.

        Raises:
            TemporarilyUnavailable: no key is known. Nothing may be sent in the clear instead.

        Spec: OIDC Core 10.2, 10.2.1.
        """
        if not alg:
            return None
        key = self._set(client).known_encryption_key(alg)
        if key is None:
            raise _no_key(client, alg)
        return partial(encrypt, key=key, alg=alg, enc=enc or DEFAULT_ENC)

    def _set(self, client: Client) -> RemoteKeySet:
        # What was fetched for one that an operator wrote down, maybe from within, is not for another.
        which = self.outbound.of(client), client.jwks_uri
        with self.lock:
            found = self.sets.get(which)
            if found is None:
                found = self.sets[which] = RemoteKeySet(
                    partial(_fetch, *which), self.clock, ttl_seconds=KEY_SET_SECONDS
                )
            return found


def _fetch(fetcher: Fetcher, url: str) -> Mapping[str, Any]:
    return fetcher.get_json(url).document


_CANNOT: Final = "the answer cannot be encrypted for the client"


def _no_key(client: Client, alg: str) -> TemporarilyUnavailable:
    return TemporarilyUnavailable(_CANNOT, detail=f"{client.jwks_uri} has no key for {alg}")


def _unfetched(error: KeysUnavailable) -> ClientKeysUnavailable:
    # No cause: the last attempt failed just now, and the next one has to wait.
    cause = error.__cause__
    return ClientKeysUnavailable(f"jwks_uri: {cause or 'not fetched again so soon after a failure'}")
