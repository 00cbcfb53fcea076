"""Tokens that an IdP made for us: opened where they are encrypted, and verified.

What such a token has to say is `oidcgate.protocol` (an ID token: `id_token`, a logout token: `logout_token`,
signed claims: `userinfo`). The keys of an IdP are fetched through `oidcgate.jose.remote`.
"""

import dataclasses
from collections.abc import Collection
from typing import Final

from oidcgate.gate.discovery import Discovery, ProviderUnavailable
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.jose.jwe import (
    CONTENT_ALGORITHMS,
    ENCRYPTED_SEGMENTS,
    KEY_ALGORITHMS,
    JWEError,
    JWEFailure,
    decrypt,
)
from oidcgate.jose.jwt import JWTError, JWTFailure, VerifiedJWT, accepted_header, verify
from oidcgate.jose.keys import VerificationKey
from oidcgate.jose.remote import KeysUnavailable, RemoteKeySet
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, verify_hmac

_RETRY_AFTER_SECONDS: Final = 30


@dataclasses.dataclass(frozen=True)
class SignedTokens:
    """Reads what one IdP signed."""

    provider: ProviderSettings
    discovery: Discovery
    keys: RemoteKeySet

    def algorithms(self) -> tuple[str, ...]:
        """The signatures that are believed: those configured, as far as the IdP announces them too.

        Raises:
            ProviderUnavailable: what it announces is not known.
        """
        announced = self.discovery.metadata().id_token_signing_alg_values_supported
        return tuple(alg for alg in self.provider.id_token_algorithms if alg in announced)

    def ready(self) -> None:
        """See to it that a token which is signed now can be read when it comes.

        Raises:
            ProviderUnavailable: nothing is known of what signs, and cannot be had.
        """
        if not set(HMAC_ALGORITHMS).issuperset(self.algorithms()):
            self._keys_for(None)

    def opened(self, token: str) -> str:
        """The signed token inside an encrypted one; one that is not encrypted is returned as it is.

        Raises:
            JWEError: it does not open, or what is inside is no signed token (P-08).

        Spec: OIDC Core 3.1.3.7 step 1.
        """
        if token.count(".") != ENCRYPTED_SEGMENTS - 1:
            return token
        keys = {entry.kid: entry.key for entry in self.provider.decryption_keys}
        if not keys:
            raise JWEError(JWEFailure.UNKNOWN_KEY, "it is encrypted; set provider.client_decryption_keys")
        return decrypt(token, keys, KEY_ALGORITHMS, CONTENT_ALGORITHMS)

    def read(self, token: str, algorithms: Collection[str]) -> VerifiedJWT:
        """Header and claims of a token that this IdP signed. Checks no claim.

        Args:
            token: not encrypted.
            algorithms: what is believed; with those of a shared secret it is the client's secret that counts,
                and with all others the keys that the IdP publishes, never the one in place of the other.

        Raises:
            JWTError: it did not sign it.
            ProviderUnavailable: its keys cannot be fetched, and none are known.
        """
        header = accepted_header(token, algorithms)
        if header["alg"] not in HMAC_ALGORITHMS:
            return verify(token, self._keys_for(header.get("kid")), [header["alg"]])
        secret = self.provider.client_secret
        return verify_hmac(token, [] if secret is None else [secret.reveal()], [header["alg"]])

    def verified(self, token: str) -> VerifiedJWT:
        """Header and claims of a token that this IdP signed as it signs ID tokens, encrypted or not.

        Checks no claim.

        Raises:
            JWTError: it did not, or it does not open.
            ProviderUnavailable: its keys cannot be fetched, and none are known.

        Spec: OIDC Back-Channel Logout 2.6.
        """
        try:
            signed = self.opened(token)
        except JWEError as error:
            raise JWTError(JWTFailure.MALFORMED, error.detail) from None
        return self.read(signed, self.algorithms())

    def _keys_for(self, kid: str | None) -> tuple[VerificationKey, ...]:
        try:
            return self.keys.keys_for(kid)
        except KeysUnavailable as error:
            cause = error.__cause__ or error
            detail = f"its keys cannot be fetched: {cause}"
            raise ProviderUnavailable(self.provider.expected_issuer, detail, _RETRY_AFTER_SECONDS) from error
