"""An IdP says through the browser that a session has ended: the front-channel logout.

The IdP's page loads our address in a frame, with `iss` and `sid`. That frame is on another site, where the
browser sends no cookie of ours (they are Lax), so `sid` says which session it is, and is all the proof there
is: only the IdP and the browser know it, and nobody guesses it. How sessions end is `sessions` next door; the
back channel, which needs no browser, `backchannel`.
"""

import dataclasses
import threading
from collections import Counter
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
from oidcgate.web.forwarded import TrustedPeers, client_network
from oidcgate.web.parameters import query_pairs

_LONGEST_SID: Final = 255
_WINDOW_SECONDS: Final = 60


class Misses:
    """How often somebody may name a session that is not here, in one process and minute.

    Bounded for each network, so that whoever guesses takes nothing from others; and for all together, since
    each that is borne is written down.
    """

    def __init__(self, each: int = 60, together: int = 600) -> None:
        self._each = each
        self._together = together
        self._lock = threading.Lock()
        self._window = 0
        # No more networks than `together`: one that is refused is not noted.
        self._counts: Counter[str] = Counter()

    def allow(self, network: str, now: int) -> bool:
        """Whether one more is borne; counts it then.

        Args:
            network: where it comes from; see `oidcgate.web.forwarded.client_network`.
        """
        with self._lock:
            if now // _WINDOW_SECONDS != self._window:
                self._window = now // _WINDOW_SECONDS
                self._counts.clear()
            if self._counts[network] >= self._each or self._counts.total() >= self._together:
                return False
            self._counts[network] += 1
            return True


@dataclasses.dataclass(frozen=True)
class FrontChannel:
    """Ends the session that an IdP's frame names.

    Attributes:
        relying_parties: by issuer.
        misses: bounds what guesses cost.
        trusted: whose word on where a request came from is believed.
        new_incident: an id that answer and log share.
    """

    relying_parties: Mapping[str, RelyingParty]
    sessions: Sessions
    answers: Answers
    audit: Audit
    clock: Callable[[], float]
    misses: Misses
    trusted: TrustedPeers
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
        if not known and not self.misses.allow(self._network(request), now):
            response = self.answers.json(429, {"error": "too_many_unknown_sessions"})
            response.headers["Retry-After"] = str(_WINDOW_SECONDS)
            return response
        ended = self.sessions.revoke_named_sid(issuer, sid, now)
        if ended:
            self.audit.emit(
                events.SignedOutByProvider(channel="front", issuer=issuer, sub=None, sessions=len(ended))
            )
        return self.answers.framed(by=_places(party))

    def _network(self, request: Request) -> str:
        trusted = self.trusted
        return client_network(request.remote_addr, request.headers, trusted.networks, unix=trusted.unix)

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
