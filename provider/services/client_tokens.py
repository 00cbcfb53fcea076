"""How what a client gets is signed and encrypted: the realm's keys, its own secret, its own public key.

What is signed is `issuing` and `claims`; where keys and secrets come from `keyring`, `client_secrets` and
`client_keys`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, sign_hmac
from oidcgate.settings import Secret
from provider.realm import Realm
from provider.services.client_keys import ClientKeys
from provider.services.client_secrets import ClientSecrets
from provider.services.keyring import SigningKeys
from provider.services.minting import TokenSigner
from provider.store.clients import Client


@dataclass(frozen=True)
class SecretSigner:
    """Signs with the secret of a client, which alone can verify it then, and could have made it."""

    alg: str
    secret: Secret

    def sign(self, claims: Mapping[str, Any], *, typ: str | None = None) -> str:
        """The claims as a signed token; it names no key."""
        return sign_hmac(claims, self.secret.reveal(), self.alg, typ=typ)


@dataclass(frozen=True)
class ClientTokens:
    """Signs and encrypts for single clients, by the algorithms that each is registered for."""

    keys: SigningKeys
    secrets: ClientSecrets
    client_keys: ClientKeys

    def prepare_id_tokens(self, client: Client) -> None:
        """See to it that ID tokens of a client can be made. May fetch; call it outside of a transaction.

        Raises:
            TemporarilyUnavailable: they cannot be encrypted, so nothing must be used up for them.
        """
        self.client_keys.prepare(client, client.id_token_encrypted_response_alg)

    def id_token_signer(self, conn: Connection, realm: Realm, client: Client, now: int) -> TokenSigner:
        """What signs the ID tokens of a client.

        Raises:
            ServerError: the realm has no such key, or the secret does not open.

        Spec: OIDC Core 2, 10.1.
        """
        return self._signer(conn, realm, client, client.id_token_signed_response_alg, now)

    def id_token_encrypter(self, client: Client) -> Callable[[str], str] | None:
        """What encrypts the ID tokens of a client; None for one that has them signed only. Fetches nothing.

        Raises:
            TemporarilyUnavailable: `prepare_id_tokens` found no key, or was not asked.
        """
        return self.client_keys.encrypter(
            client, client.id_token_encrypted_response_alg, client.id_token_encrypted_response_enc
        )

    def userinfo_signer(self, conn: Connection, realm: Realm, client: Client, now: int) -> TokenSigner | None:
        """What signs UserInfo for a client; None for one that gets JSON.

        Raises:
            ServerError: the realm has no such key, or the secret does not open.
        """
        if not client.userinfo_signed_response_alg:
            return None
        return self._signer(conn, realm, client, client.userinfo_signed_response_alg, now)

    def encrypted_userinfo(self, client: Client, signed: str) -> str:
        """Signed UserInfo as a client gets it: encrypted, if it asks for that. May fetch.

        Raises:
            TemporarilyUnavailable: it cannot be encrypted.
        """
        alg = client.userinfo_encrypted_response_alg
        self.client_keys.prepare(client, alg)
        encrypt = self.client_keys.encrypter(client, alg, client.userinfo_encrypted_response_enc)
        return signed if encrypt is None else encrypt(signed)

    def _signer(self, conn: Connection, realm: Realm, client: Client, alg: str, now: int) -> TokenSigner:
        if alg in HMAC_ALGORITHMS:
            return SecretSigner(alg, self.secrets.text(realm, client))
        return self.keys.signer(conn, realm, alg or realm.settings.signing_algorithm, now)
