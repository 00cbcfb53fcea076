"""The userinfo endpoint of an IdP: asked with an access token, believed only about the same person.

What the answer has to say is `oidcgate.protocol.userinfo`; when it is asked is `relying_party` next door.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from oidcgate.gate.discovery import Discovery, unavailable
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.signed_tokens import SignedTokens
from oidcgate.jose.jwe import JWEError
from oidcgate.jose.jwt import JWTError
from oidcgate.net.fetch import Fetcher, FetchError, FetchFailure
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.userinfo import SignedUserinfoRules, check_signed_userinfo, check_userinfo
from oidcgate.strict_json import NotStrictJSON, parse_object

_JWT: Final = "application/jwt"


@dataclasses.dataclass(frozen=True)
class UserInfo:
    """The userinfo endpoint of one IdP."""

    provider: ProviderSettings
    fetcher: Fetcher
    discovery: Discovery
    signed_tokens: SignedTokens

    def claims(self, access_token: str, sub: str, now: int) -> Mapping[str, Any]:
        """What the IdP says about `sub`; nothing where it has no such endpoint and none is configured.

        Args:
            now: epoch seconds.

        Raises:
            Refused: it speaks about somebody else, or not at all although `get_user_info` is set, or what it
                signed is not for us.
            ProviderUnavailable: it did not answer.

        Spec: OIDC Core 5.3.
        """
        endpoint = self.discovery.metadata().userinfo_endpoint
        if endpoint is None:
            if self.provider.get_user_info:
                detail = "get_user_info is set and the IdP has no userinfo endpoint"
                raise Refused(Reason.METADATA_INVALID, detail)
            return {}
        headers = {"Accept": f"application/json, {_JWT}", "Authorization": f"Bearer {access_token}"}
        try:
            answer = self.fetcher.get_any(endpoint, headers)
            if answer.content_type != _JWT:
                return check_userinfo(_json(endpoint, answer.content), sub)
        except FetchError as error:
            raise unavailable(self.provider.expected_issuer, "the userinfo endpoint", error) from error
        return self._signed(answer.content, sub, now)

    def _signed(self, content: bytes, sub: str, now: int) -> Mapping[str, Any]:
        tokens = self.signed_tokens
        try:
            signed = tokens.opened(content.decode("ascii", "replace").strip())
            claims = tokens.read(signed, tokens.algorithms()).claims
        except JWEError as error:
            raise Refused(Reason.USERINFO_ENCRYPTION, error.detail) from None
        except JWTError as error:
            raise Refused(Reason.USERINFO_SIGNATURE, error.detail) from None
        rules = SignedUserinfoRules(
            issuer=self.provider.expected_issuer,
            client_id=self.provider.client_id,
            clock_skew_seconds=self.provider.clock_skew_seconds,
            tenants=frozenset(self.provider.allowed_tenants),
        )
        return check_signed_userinfo(claims, rules, sub, now)


def _json(url: str, content: bytes) -> dict[str, Any]:
    try:
        return parse_object(content)
    except NotStrictJSON as error:
        raise FetchError(FetchFailure.NOT_JSON, url, str(error)) from None
