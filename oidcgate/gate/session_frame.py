"""A page of the app learns in a hidden frame that its person has signed out at the IdP, or is another one.

Lives here: our frame, which asks the IdP's frame over and over, the silent sign-in that it begins when that
one says "changed", and what becomes of the session then. Off unless `provider.session_check_seconds` is set.
Not here: how an answer of the IdP is read (`relying_party`) and how it makes a session (`login`).

In a browser that keeps the IdP's cookies from frames, the IdP's frame cannot know; it then says "error", or
"changed" for ever. So "changed" counts only where this very state was "unchanged" before.
"""

import dataclasses
import html
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import SESSION_CHECK_PATH, SESSION_FRAME_PATH
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.relying_party import RelyingParty, SignedIn
from oidcgate.gate.session import Absent, Found, SessionUnavailable, Unavailable
from oidcgate.gate.sessions import Sessions
from oidcgate.gate.transaction import SEED_BYTES, Transaction, Transactions
from oidcgate.protocol.errors import NEED_A_PERSON, Refused
from oidcgate.web.facts import Facts, RequestKind
from oidcgate.web.parameters import query_pairs

__all__ = ["SessionFrame", "SomebodyElse"]

_ENDED: Final = "ended"

# Spec: OIDC Session Management 1.0 3.1. The storage is that of our own origin; what is in it is no secret.
_WATCH: Final = """
(function () {
  "use strict";
  var told = document.currentScript.dataset, name = "oidcgate.unchanged";
  var frame = document.getElementById("provider"), leaving = false, timer;
  function stop() { clearInterval(timer); }
  function seen() {
    try { return localStorage.getItem(name) === told.question; } catch (refused) { return false; }
  }
  function ask() { frame.contentWindow.postMessage(told.question, told.origin); }
  window.addEventListener("message", function (event) {
    if (event.origin !== told.origin || event.source !== frame.contentWindow) return;
    if (event.data === "unchanged") {
      try { localStorage.setItem(name, told.question); } catch (refused) {}
      return;
    }
    stop();
    // Once: a second answer on its way would break the check off after it has ended the session unheard.
    if (leaving || event.data !== "changed" || !seen()) return;
    leaving = true;
    location.replace(told.check);
  });
  frame.addEventListener("load", function () {
    stop();
    timer = setInterval(ask, told.seconds * 1000);
    ask();
  });
})();
"""
_TELL: Final = """
(function () {
  "use strict";
  if (window.parent !== window) window.parent.postMessage("oidcgate:signed-out", location.origin);
})();
"""


class SomebodyElse(Exception):
    """A silent sign-in is not about the person of the session: the session ends."""


@dataclasses.dataclass(frozen=True)
class SessionFrame:
    """Watches a session at the IdP from a page of the app.

    Attributes:
        relying_parties: by issuer.
        public_url: our own origin, whose pages alone may frame what is here.
        random_bytes: unpredictable bytes, for the seed of each attempt.
    """

    relying_parties: Mapping[str, RelyingParty]
    transactions: Transactions
    sessions: Sessions
    answers: Answers
    audit: Audit
    clock: Callable[[], float]
    public_url: str
    random_bytes: Callable[[int], bytes]

    def show(self, request: Request, facts: Facts) -> Response:
        """Our frame: `GET /.oidcgate/session-frame`. Empty where there is nothing to watch.

        Raises:
            BadRequest: the query cannot be read. SessionUnavailable: who is signed in cannot be said.
        """
        session = self._session(request)
        if not isinstance(session, Found):
            ended = (_ENDED, "") in query_pairs(request)
            return self._framed(f"<script>{_TELL}</script>", script=_TELL) if ended else self._framed()
        party = self.relying_parties.get(session.record.iss)
        endpoint = None if party is None else _endpoint(party)
        if party is None or endpoint is None or session.record.session_state is None:
            return self._framed()
        parts = urlsplit(endpoint)
        told = {
            "question": f"{party.provider.client_id} {session.record.session_state}",
            "origin": f"{parts.scheme}://{parts.netloc}",
            "seconds": str(party.provider.session_check_seconds),
            "check": SESSION_CHECK_PATH,
        }
        data = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in told.items())
        frame = f'<iframe id="provider" title="" src="{html.escape(endpoint)}"></iframe>'
        return self._framed(f"{frame}\n<script {data}>{_WATCH}</script>", script=_WATCH, frames=[endpoint])

    def check(self, request: Request, facts: Facts) -> Response:
        """Ask the IdP without a page whether the person is still there: `GET /.oidcgate/session-check`.

        Only our own frame may: where the IdP's cookies are kept from frames, or lost, the answer is that
        nobody is there, and another site could end the session by leading a browser here.

        Raises:
            SessionUnavailable, StoreUnavailable: who is signed in, or what is kept of it, cannot be said.
            ProviderUnavailable: where to ask is not known. Refused: the IdP does not take the question.

        Spec: OIDC Session Management 1.0 3.
        """
        if not _is_our_frame(request, facts):
            return self.answers.json(403, {"error": "not_the_session_frame"})
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        session = self._session(request)
        party = self.relying_parties.get(session.record.iss) if isinstance(session, Found) else None
        if party is None or not party.provider.session_check_seconds:
            return self.answers.redirect(self.public_url + SESSION_FRAME_PATH)
        transaction = Transaction(
            seed=self.random_bytes(SEED_BYTES),
            issuer=party.provider.expected_issuer,
            return_path=SESSION_FRAME_PATH,
            loops=0,
            started_at=now,
            framed=True,
        )
        response = self.answers.redirect(
            party.authorization_url(transaction, prompt=("none",), id_token_hint=self._hint(session, now))
        )
        for cookie in self.transactions.begin(transaction, cookies, now):
            response.headers.add("Set-Cookie", cookie)
        return response

    def confirm(self, signed_in: SignedIn, transaction: Transaction, before: Found | Absent) -> None:
        """Let a silent sign-in go on that confirms the session there is.

        Nobody is signed in by a frame: without a session none is made.

        Raises:
            SomebodyElse: there is no such session, or it is of another person.
        """
        same = isinstance(before, Found) and (before.record.iss, before.record.sub) == (
            transaction.issuer,
            signed_in.id_token.sub,
        )
        if not same:
            raise SomebodyElse

    def unconfirmed(self, error: Exception, before: Found | Absent, now: int) -> Response:
        """The answer to a silent sign-in that confirmed nothing.

        The session ends where the IdP says that nobody is signed in there, or another person is. Where it
        cannot be asked, or refuses us, the session goes on: an outage signs nobody out.

        Args:
            error: what came in place of a sign-in that `confirm` let go on.

        Raises:
            StoreUnavailable: it may not have ended.
        """
        asks = isinstance(error, Refused) and error.error in NEED_A_PERSON
        over = asks or isinstance(error, SomebodyElse)
        if not over:
            # Empty: it would find the same thing, and ask the same question, over and over.
            return self._framed()
        response = self.answers.redirect(f"{self.public_url}{SESSION_FRAME_PATH}?{_ENDED}=")
        if isinstance(before, Found):
            record = before.record
            self.sessions.end(record, now)
            response.headers.add("Set-Cookie", self.sessions.gone())
            self.audit.emit(
                events.SignedOutByProvider(channel="frame", issuer=record.iss, sub=record.sub, sessions=1)
            )
        return response

    def _hint(self, session: Found | Absent, now: int) -> str | None:
        held = (
            self.sessions.kept_tokens.find(session.record.session_id, now)
            if isinstance(session, Found)
            else None
        )
        return None if held is None else held.kept.hint

    def _session(self, request: Request) -> Found | Absent:
        session = self.sessions.load(request.headers.get("Cookie", ""), int(self.clock()))
        if isinstance(session, Unavailable):
            raise SessionUnavailable(session.reason)
        return session

    def _framed(self, body: str = "", *, script: str = "", frames: Iterable[str] = ()) -> Response:
        return self.answers.framed(by=[self.public_url], body=body, script=script, frames=frames)


def _is_our_frame(request: Request, facts: Facts) -> bool:
    """Whether a page of ours leads a frame here; browsers too old to say so pass. Spec: Fetch Metadata 2."""
    return (
        facts.kind is RequestKind.NAVIGATION
        and facts.fetch_site in ("", "same-origin")
        and request.headers.get("Sec-Fetch-Dest", "iframe") == "iframe"
    )


def _endpoint(party: RelyingParty) -> str | None:
    if not party.provider.session_check_seconds:
        return None
    try:
        return party.discovery.metadata().check_session_iframe
    except ProviderUnavailable:
        return None
