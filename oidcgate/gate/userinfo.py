"""The userinfo endpoint of an IdP: asked with an access token, believed only about the same person.

What the answer has to say is `oidcgate.protocol.userinfo`; when it is asked is `relying_party` next door.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from oidcgate.gate.discovery import Discovery, unavailable
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.net.fetch import Fetcher, FetchError
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.userinfo import check_userinfo


@dataclasses.dataclass(frozen=True)
class UserInfo:
    """The userinfo endpoint of one IdP."""

    provider: ProviderSettings
    fetcher: Fetcher
    discovery: Discovery

    def claims(self, access_token: str, sub: str) -> Mapping[str, Any]:
        """What the IdP says about `sub`; nothing where it has no such endpoint and none is configured.

        Raises:
            Refused: it speaks about somebody else, or not at all although `get_user_info` is set.
            ProviderUnavailable: it did not answer.

        Spec: OIDC Core 5.3.
        """
        endpoint = self.discovery.metadata().userinfo_endpoint
        if endpoint is None:
            if self.provider.get_user_info:
                detail = "get_user_info is set and the IdP has no userinfo endpoint"
                raise Refused(Reason.METADATA_INVALID, detail)
            return {}
        try:
            answer = self.fetcher.get_json(endpoint, headers={"Authorization": f"Bearer {access_token}"})
        except FetchError as error:
            raise unavailable(self.provider.expected_issuer, "the userinfo endpoint", error) from error
        return check_userinfo(answer.document, sub)
