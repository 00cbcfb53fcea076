"""Tokens that an IdP signed: with which keys they are read, and under which algorithms.

What such a token has to say is `oidcgate.protocol` (an ID token: `id_token`). The keys of an IdP are fetched
through `oidcgate.jose.remote`.
"""

import dataclasses

from oidcgate.gate.discovery import Discovery, ProviderUnavailable
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.jose.jwt import VerifiedJWT, accepted_header, verify
from oidcgate.jose.keys import VerificationKey
from oidcgate.jose.remote import KeysUnavailable, RemoteKeySet
from oidcgate.protocol.id_token import IdTokenClaims, IdTokenRules, id_token_kid, verify_id_token

_RETRY_AFTER_SECONDS = 30


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

    def id_token(self, token: str, rules: IdTokenRules, now: int) -> IdTokenClaims:
        """The claims of an ID token that says what `rules` ask.

        Raises:
            Refused: for the first thing wrong.
            ProviderUnavailable: its keys cannot be fetched, and none are known.

        Spec: OIDC Core 3.1.3.7.
        """
        return verify_id_token(token, self._keys_for(id_token_kid(token)), rules, now)

    def verified(self, token: str) -> VerifiedJWT:
        """Header and claims of another token that this IdP signed as it signs ID tokens. Checks no claim.

        Raises:
            JWTError: it did not.
            ProviderUnavailable: its keys cannot be fetched, and none are known.

        Spec: OIDC Back-Channel Logout 2.6.
        """
        header = accepted_header(token, self.algorithms())
        return verify(token, self._keys_for(header.get("kid")), [header["alg"]])

    def _keys_for(self, kid: str | None) -> tuple[VerificationKey, ...]:
        try:
            return self.keys.keys_for(kid)
        except KeysUnavailable as error:
            cause = error.__cause__ or error
            detail = f"its keys cannot be fetched: {cause}"
            raise ProviderUnavailable(self.provider.expected_issuer, detail, _RETRY_AFTER_SECONDS) from error
