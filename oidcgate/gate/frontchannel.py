"""An IdP says through the browser that a session has ended: the front-channel logout.

The IdP's page loads our address in a frame, with `iss` and `sid`. That frame is on another site, where the
browser sends no cookie of ours (they are Lax), so `sid` says which session it is, and is all the proof there
is: only the IdP and the browser know it, and nobody guesses it. How sessions end is `sessions` next door; the
back channel, which needs no browser, `backchannel`.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Final

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.sessions import Sessions
from oidcgate.web.facts import Facts
from oidcgate.web.parameters import query_pairs

_LONGEST_SID: Final = 255
_WINDOW_SECONDS: Final = 60


class Misses:
    """How often somebody may name a session that is not here, in one process: per minute, all together."""

    def __init__(self, most: int = 60) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._window = 0
        self._count = 0

    def allow(self, now: int) -> bool:
        """Whether one more is borne; counts it."""
        with self._lock:
            if now // _WINDOW_SECONDS != self._window:
                self._window, self._count = now // _WINDOW_SECONDS, 0
            self._count += 1
            return self._count <= self._most


@dataclasses.dataclass(frozen=True)
class FrontChannel:
    """Ends the session that an IdP's frame names.

    Attributes:
        relying_parties: by issuer.
        misses: bounds what guesses cost.
        new_incident: an id that answer and log share.
    """

    relying_parties: Mapping[str, RelyingParty]
    sessions: Sessions
    answers: Answers
    audit: Audit
    clock: Callable[[], float]
    misses: Misses
    new_incident: Callable[[], str]

    def end(self, request: Request, facts: Facts) -> Response:
        """End what a frame names: `GET /.oidcgate/frontchannel-logout?iss=…&sid=…`.

        The answer is the same whether there was such a session or not.

        Raises:
            BadRequest: the query cannot be read. StoreUnavailable: it may not have ended.

        Spec: OIDC Front-Channel Logout 2, 3.
        """
        now = int(self.clock())
        pairs = query_pairs(request)
        issuer, sid = (_only(pairs, name) for name in ("iss", "sid"))
        party = self.relying_parties.get(issuer or "")
        if party is None or sid is None or len(sid) > _LONGEST_SID:
            return self._refuse("without one iss of a configured provider and one sid nothing ends")
        issuer = party.provider.expected_issuer
        # A sign-in under way may be what is meant, and then it is written down, so guesses are counted.
        known = next(self.sessions.index.of_sid(issuer, sid, now), None) is not None
        if not known and not self.misses.allow(now):
            response = self.answers.json(429, {"error": "too_many_unknown_sessions"})
            response.headers["Retry-After"] = str(_WINDOW_SECONDS)
            return response
        ended = self.sessions.revoke_named_sid(issuer, sid, now)
        if ended:
            self.audit.emit(
                events.SignedOutByProvider(channel="front", issuer=issuer, sub=None, sessions=len(ended))
            )
        return self.answers.framed(by=_places(party))

    def _refuse(self, detail: str) -> Response:
        incident = self.new_incident()
        self.audit.emit(events.ProviderLogoutRefused(channel="front", detail=detail, incident=incident))
        document = {"error": "invalid_request", "error_description": detail, "incident": incident}
        return self.answers.json(400, document)


def _only(pairs: list[tuple[str, str]], name: str) -> str | None:
    values = [value for key, value in pairs if key == name]
    return values[0] if len(values) == 1 and values[0] else None


def _places(party: RelyingParty) -> list[str]:
    """Where the IdP's page with the frame is."""
    places = [party.provider.expected_issuer]
    try:
        endpoint = party.discovery.metadata().end_session_endpoint
    except ProviderUnavailable:
        return places
    return places if endpoint is None else [*places, endpoint]
