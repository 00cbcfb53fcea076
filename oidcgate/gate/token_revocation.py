"""The IdP is told that the tokens of sessions which ended are needed no more.

Lives here: which token is named, how long anybody waits for the answers, and that nothing depends on them.
The call itself is `token_endpoint`, what is kept of a session `kept_tokens`, both next door.
"""

import dataclasses
import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.session import SessionRecord
from oidcgate.gate.sessions import Ended
from oidcgate.protocol.errors import Refused
from oidcgate.time_limit import NotInTime, TimeLimited

__all__ = ["REQUEST_SECONDS", "Outcome", "TokenRevocation", "Told"]

#: How long a request waits for all of its calls. They go on without it, up to `provider.timeout_seconds`.
REQUEST_SECONDS: Final = 2.0
_AT_ONCE: Final = 8
_SENT: Final = (
    "the refresh token had been sent for new ones, and what came of that is not known here; "
    "an answer that still comes is revoked by who asked"
)


class Outcome(StrEnum):
    """What became of the tokens of a session that ended."""

    NONE = "none"  # it kept none, or its provider is configured no more
    REVOKED = "revoked"
    NOT_OFFERED = "not_offered"  # the IdP has no endpoint for that
    NOT_REVOKED = "not_revoked"  # it does not answer in time, or says no; or which there are is in doubt


class Told(NamedTuple):
    """What an IdP was told of a session, and what came of it.

    Attributes:
        detail: why the tokens may be good until they end.
    """

    record: SessionRecord
    outcome: Outcome
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class TokenRevocation:
    """Revokes kept tokens as far as that works.

    Attributes:
        relying_parties: by issuer.
        threads: where calls are made, so that an IdP that hangs keeps nobody.
    """

    relying_parties: Mapping[str, RelyingParty]
    audit: Audit
    threads: TimeLimited = dataclasses.field(
        default_factory=lambda: TimeLimited("oidcgate-revocation", at_once=_AT_ONCE)
    )

    def revoke(self, ended: Iterable[Ended], within_seconds: float) -> list[Told]:
        """Have the IdPs forget what was kept of sessions that have ended here. Never fails.

        Of both tokens the refresh token, which takes the access token with it.

        Args:
            within_seconds: how long to wait for all answers together. Where none of it is left, a call is
                made that nobody waits for.

        Spec: RFC 7009 2.1.
        """
        ends_at = time.monotonic() + within_seconds
        return [self._revoke(each, max(ends_at - time.monotonic(), 0)) for each in ended]

    def _revoke(self, ended: Ended, seconds: float) -> Told:
        record, kept = ended
        party = self.relying_parties.get(record.iss)
        if party is None or kept is None:
            return Told(record, Outcome.NONE)
        told = Told(record, Outcome.NONE)
        if kept.refresh_token is not None:
            told = self._sent(record, party, kept.refresh_token, "refresh_token", seconds)
        elif kept.access_token is not None:
            told = self._sent(record, party, kept.access_token, "access_token", seconds)
        if kept.claim and told.outcome is not Outcome.NOT_OFFERED:
            # Somebody took the refresh token out (`oidcgate.gate.refresh`): that one nobody can name here.
            return self._not_revoked(record, "refresh_token", _SENT)
        return told

    def _sent(
        self, record: SessionRecord, party: RelyingParty, token: str, kind: str, seconds: float
    ) -> Told:
        try:
            offered = self.threads.call(partial(party.token_endpoint.revoke, token, kind), seconds)
        except (Refused, ProviderUnavailable, NotInTime) as error:
            detail = error.detail if isinstance(error, Refused | ProviderUnavailable) else str(error)
            return self._not_revoked(record, kind, detail)
        return Told(record, Outcome.REVOKED if offered else Outcome.NOT_OFFERED)

    def _not_revoked(self, record: SessionRecord, kind: str, detail: str) -> Told:
        self.audit.emit(events.TokensNotRevoked(issuer=record.iss, kind=kind, detail=detail))
        return Told(record, Outcome.NOT_REVOKED, detail)
