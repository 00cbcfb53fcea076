"""The IdP is told that the tokens of a session which ended are needed no more.

Lives here: which token is named, how long anybody waits for the answer, and that nothing depends on it. The
call itself is `token_endpoint`, what is kept of a session `kept_tokens`, both next door.
"""

import dataclasses
from functools import partial
from typing import Final

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.kept_tokens import Kept
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.protocol.errors import Refused
from oidcgate.time_limit import NotInTime, TimeLimited

#: How long a sign-out waits. The call goes on without it, up to `provider.timeout_seconds`.
WAIT_SECONDS: Final = 2.0
_AT_ONCE: Final = 8


@dataclasses.dataclass(frozen=True)
class TokenRevocation:
    """Revokes kept tokens as far as that works.

    Attributes:
        threads: where calls are made, so that an IdP that hangs keeps nobody.
    """

    audit: Audit
    threads: TimeLimited = dataclasses.field(
        default_factory=lambda: TimeLimited("oidcgate-revocation", at_once=_AT_ONCE)
    )

    def revoke(self, party: RelyingParty, kept: Kept) -> None:
        """Have the IdP forget what was kept of a session that has ended here. Never fails.

        Of both tokens the refresh token, which takes the access token with it.

        Spec: RFC 7009 2.1.
        """
        token, kind = kept.refresh_token, "refresh_token"
        if token is None:
            token, kind = kept.access_token, "access_token"
        if token is None:
            return
        call = partial(party.token_endpoint.revoke, token, kind)
        try:
            self.threads.call(call, WAIT_SECONDS)
        except (Refused, ProviderUnavailable, NotInTime) as error:
            detail = error.detail if isinstance(error, Refused | ProviderUnavailable) else str(error)
            self.audit.emit(
                events.TokensNotRevoked(issuer=party.provider.expected_issuer, kind=kind, detail=detail)
            )
