"""`/jwks`: the public keys of a realm.

Which are published is `provider.services.keyring`, of those to encrypt to `encryption_keys`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Request, Response

from provider.endpoints.answers import json_response
from provider.realm import Realm
from provider.services.encryption_keys import EncryptionKeys
from provider.services.keyring import KEY_SET_MAX_AGE_SECONDS, SigningKeys
from provider.store.engine import Store


@dataclass(frozen=True)
class Jwks:
    """Spec: RFC 7517 5; OIDC Core 10.1."""

    store: Store
    keys: SigningKeys
    encryption_keys: EncryptionKeys
    clock: Callable[[], float]

    def __call__(self, realm: Realm, _request: Request) -> Response:
        """The key set. A next key whose time has come is written down as current on the way."""
        now = int(self.clock())
        self.keys.settle(self.store, realm, now)
        with self.store.read() as conn:
            signing = self.keys.key_set(conn, realm, now)["keys"]
            document = {"keys": [*signing, *self.encryption_keys.published(conn, realm)]}
        return json_response(document, cache_control=f"public, max-age={KEY_SET_MAX_AGE_SECONDS}")
