"""An IdP says by itself that a session has ended: the back-channel logout.

Lives here: whom the IdP's word is asked of, that it counts once, and what it is answered. What a logout token
has to say is `oidcgate.protocol.logout_token`; how sessions end `sessions` next door. No
browser is involved: nothing here reads or sets a cookie.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.revocations import provider_key
from oidcgate.gate.sessions import Ended, Sessions
from oidcgate.jose.jwe import JWEError
from oidcgate.jose.jwt import JWTError, unverified_claims
from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.logout_token import LogoutTokenClaims, LogoutTokenRules, check_logout_token
from oidcgate.storage.records import RecordStore
from oidcgate.web.facts import BadRequest, Facts
from oidcgate.web.parameters import FORM, form_pairs

#: The field of the form.
PARAMETER: Final = "logout_token"
_USED: Final = "logout-token"


@dataclasses.dataclass(frozen=True)
class BackChannel:
    """Ends the sessions that an IdP says have ended.

    Attributes:
        relying_parties: by issuer.
        state: remembers which tokens came, until they expire.
        new_incident: an id that answer and log share.
    """

    relying_parties: Mapping[str, RelyingParty]
    sessions: Sessions
    state: RecordStore
    answers: Answers
    audit: Audit
    clock: Callable[[], float]
    new_incident: Callable[[], str]

    def end(self, request: Request, facts: Facts) -> Response:
        """Take a logout token: `POST /.oidcgate/backchannel-logout`.

        200 says that what it names has ended, also when nothing was left of it; 400 that the token is not
        good, and will not be when it comes again.

        Raises:
            ProviderUnavailable, StoreUnavailable: 503. The IdP is to send the token again, and may: it counts
                as taken only once all has ended.

        Spec: OIDC Back-Channel Logout 2.5 to 2.8.
        """
        now = int(self.clock())
        try:
            token = self._opened(_only_token(request))
            party = self._named(token)
            claims = _believed(token, party, now)
            used = provider_key(party.provider.expected_issuer, claims.jti)
            if self.state.get(_USED, used, now=now) is not None:
                raise _refused("it came before")
        except InvalidRequest as error:
            return self._refuse(error)
        # Its keys may just have been waited for, and other workers look for what is written from now on.
        issuer, now = party.provider.expected_issuer, int(self.clock())
        ended = self._ended(issuer, claims, now)
        # After the work, not before it: a token whose sessions could not be ended has to be good once more.
        # Two copies at once do the same thing twice, which is once.
        keep = claims.expires_at + party.provider.clock_skew_seconds + 1
        self.state.put(_USED, used, b"", expires_at=keep)
        self.audit.emit(
            events.SignedOutByProvider(channel="back", issuer=issuer, sub=claims.sub, sessions=len(ended))
        )
        return self.answers.empty()

    def _ended(self, issuer: str, claims: LogoutTokenClaims, now: int) -> list[Ended]:
        if claims.sid is not None:
            return self.sessions.revoke_sid(issuer, claims.sid, now, sub=claims.sub)
        return [] if claims.sub is None else self.sessions.revoke_subject(issuer, claims.sub, now)

    def _opened(self, token: str) -> str:
        """The token inside an encrypted one, which does not say outside whose it is; else the token itself.

        Raises:
            InvalidRequest: with no provider's keys does it open.
        """
        detail = ""
        for party in self.relying_parties.values():
            try:
                return party.signed_tokens.opened(token)
            except JWEError as error:
                detail = error.detail
        raise _refused(detail)

    def _named(self, token: str) -> RelyingParty:
        """Whose token it says it is; nothing proves it yet.

        Raises:
            InvalidRequest: nobody's that is configured.
        """
        try:
            issuer = unverified_claims(token).get("iss")
        except JWTError as error:
            raise _refused(error.detail) from None
        party = self.relying_parties.get(issuer) if isinstance(issuer, str) else None
        if party is None:
            raise _refused("iss is none of the configured providers")
        return party

    def _refuse(self, error: InvalidRequest) -> Response:
        incident = self.new_incident()
        self.audit.emit(events.ProviderLogoutRefused(channel="back", detail=error.detail, incident=incident))
        return self.answers.json(error.status, {**error.document(), "incident": incident})


def _only_token(request: Request) -> str:
    """The one token of a form.

    Raises:
        InvalidRequest: it is no form, or has none or several.

    Spec: OIDC Back-Channel Logout 2.5.
    """
    if request.mimetype != FORM:
        raise InvalidRequest(f"send a form ({FORM})", detail="the request is no form")
    try:
        tokens = [value for name, value in form_pairs(request) if name == PARAMETER]
    except BadRequest:
        raise InvalidRequest("the form cannot be read", detail="the form is too long or malformed") from None
    if len(tokens) != 1:
        raise InvalidRequest(f"the form needs one {PARAMETER}", detail=f"{len(tokens)} tokens came")
    return tokens[0]


def _believed(token: str, party: RelyingParty, now: int) -> LogoutTokenClaims:
    """What a token says that this IdP signed for us.

    Raises:
        InvalidRequest: it did not, or what it says is not good.
        ProviderUnavailable: nobody can say, because its keys are not known.

    Spec: OIDC Back-Channel Logout 2.6.
    """
    try:
        verified = party.signed_tokens.verified(token)
    except JWTError as error:
        raise _refused(error.detail) from None
    settings = party.provider
    rules = LogoutTokenRules(settings.expected_issuer, settings.client_id, settings.clock_skew_seconds)
    return check_logout_token(verified.header, verified.claims, rules, now)


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest("the logout token is not good", detail=f"logout token: {detail}")
