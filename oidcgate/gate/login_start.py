"""The way to the IdP: `/.oidcgate/login`, from a page of the app, a link, or another site.

Lives here: which provider is asked, what it is asked for, and where a browser stops that goes in a circle.
Not here: what a link says (`login_request`), how an attempt is kept (`transaction`), the way back (`login`),
and the pages between app and provider (`fragments`), all next door.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import LOGIN_PATH, GateConfig
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.fragments import Fragments
from oidcgate.gate.login_cookies import LoginCookies
from oidcgate.gate.login_request import SILENT, LoginFault, LoginRequest, from_another_site, of_our_own
from oidcgate.gate.pages import Choice, LoopCheck
from oidcgate.gate.policy import Policy
from oidcgate.gate.refusals import Refusals
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.session import Absent, AbsentReason, Found, Session, SessionRecord, Unavailable
from oidcgate.gate.sessions import Sessions
from oidcgate.gate.transaction import SEED_BYTES, Transaction, Transactions
from oidcgate.web.facts import BadRequest, Facts, RequestKind
from oidcgate.web.parameters import form_pairs, query_pairs

__all__ = ["MAX_LOOPS", "LoginStart"]

MAX_LOOPS: Final = 3


@dataclasses.dataclass(frozen=True)
class LoginStart:
    """Begins sign-ins.

    Attributes:
        relying_parties: by issuer; of several a person chooses, unless rule or link names one.
        random_bytes: unpredictable bytes, for the seed of each attempt.
    """

    config: GateConfig
    relying_parties: Mapping[str, RelyingParty]
    transactions: Transactions
    cookies: LoginCookies
    sessions: Sessions
    policy: Policy
    fragments: Fragments
    answers: Answers
    refusals: Refusals
    audit: Audit
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]

    def start(self, request: Request, facts: Facts) -> Response:
        """Send a browser to the IdP: `/.oidcgate/login?rd=PATH`; of several, ask which.

        `rd` that leads anywhere but to our own origin counts as "/". `prompt=login` and
        `prompt=select_account` let a person change the account; `max_age` and `acr_values` ask for a fresher
        or stronger sign-in and are checked on return; `idp` names one of several providers. What the rule of
        the target asks for is asked for as well. Another site begins a sign-in with `iss` and
        `target_link_uri`.

        Raises:
            BadRequest: a parameter cannot be read, or a page of somebody else has it in a frame.
            ProviderUnavailable: where to send the browser is not known.

        Spec: OIDC Core 4.
        """
        pairs = form_pairs(request) if request.method == "POST" else query_pairs(request)
        asked = from_another_site(
            pairs, self.answers.return_path, self._issuers(), hint=self.config.login.accept_login_hint
        )
        if asked is None:
            if request.method == "POST":
                raise BadRequest(LoginFault.ISSUER)
            asked = of_our_own(pairs, self.answers.return_path, self._issuers())
            keeps_fragment = asked.fragment is None and "#" not in asked.return_path and not asked.form
        else:
            # The fragment of the other site's page is not ours.
            keeps_fragment = False
        if facts.kind is not RequestKind.NAVIGATION:
            # An attempt that no person will finish would only take a place among those that one does (G-02).
            return self.answers.login_required()
        if _is_in_a_frame(request, facts):
            if asked.prompt == SILENT:
                # The session that is there goes on; who has none comes here again, and not to be silent.
                return self.answers.redirect(self.config.public_url + asked.return_path)
            raise BadRequest(LoginFault.FRAMED)
        if request.method == "POST":
            # Of a POST from elsewhere a browser keeps our cookies: who is signed in here, and how many
            # attempts there are, is seen only by the GET that follows.
            return self.answers.redirect(self._again(pairs))
        if keeps_fragment:
            page = self.fragments.save(request.environ, self._again([*pairs, ("fragment", "")]))
            if page is not None:
                return page
        return self._begun(request, asked, int(self.clock()))

    def _again(self, pairs: list[tuple[str, str]]) -> str:
        return f"{self.config.public_url}{LOGIN_PATH}?{urlencode(pairs)}"

    def _begun(self, request: Request, asked: LoginRequest, now: int) -> Response:
        wants_more = asked.max_age_seconds is not None or bool(asked.acr_values)
        asked = asked.under(self.policy)
        cookies = request.headers.get("Cookie", "")
        session = self.sessions.load(cookies, now)
        if asked.prompt == SILENT:
            asked = self._silently(asked, session)
        silent = asked.prompt == SILENT
        loops = self.cookies.loops(cookies)
        if wants_more and asked.issuer is None and isinstance(session, Found):
            # More of the sign-in that there is, and so of the one who vouched for it.
            asked = dataclasses.replace(asked, issuer=self._vouched(session.record))
        if isinstance(session, Found) and asked.issuer not in (None, session.record.iss):
            # Whoever goes back and forth between the pages of two providers goes in no circle.
            loops = 0
        if loops >= MAX_LOOPS and not silent:
            return self._looped(request, asked.return_path, session, wants_more=wants_more)
        if isinstance(session, Found) and self._serves(session.record, asked):
            response = self.answers.redirect(self.config.public_url + asked.return_path)
            response.headers.add("Set-Cookie", self.cookies.loop(loops + 1))
            return response
        party = self._chosen(asked.issuer)
        if party is None:
            return self._choose(request, asked, cookies)
        transaction = Transaction(
            seed=self.random_bytes(SEED_BYTES),
            issuer=party.provider.expected_issuer,
            return_path=asked.return_path,
            loops=loops,
            started_at=now,
            max_age_seconds=asked.max_age_seconds,
            acr_values=asked.acr_values,
            fragment=asked.fragment or "",
            form=asked.form,
            confirms=session.record.sub if silent and isinstance(session, Found) else "",
        )
        # A name that this gate verified; one that a request merely claims only where a switch says so (F-15).
        known = session.record.user_name if isinstance(session, Found) else None
        hint = asked.login_hint or (None if asked.prompt and not silent else known)
        try:
            url = party.authorization_url(transaction, prompt=asked.prompt, login_hint=hint)
        except ProviderUnavailable:
            if not silent:
                raise
            # The session that is there goes on.
            return self.answers.redirect(self.config.public_url + transaction.return_path)
        response = self.answers.redirect(url)
        for cookie in self.transactions.begin(transaction, cookies, now):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _silently(self, asked: LoginRequest, session: Session) -> LoginRequest:
        """A silent sign-in, for whom has a session, at its provider; for others an ordinary one."""
        if not isinstance(session, Found) or session.record.iss not in self.relying_parties:
            return dataclasses.replace(asked, prompt=())
        return dataclasses.replace(asked, issuer=session.record.iss)

    def _choose(self, request: Request, asked: LoginRequest, cookies: str) -> Response:
        """The page on which a person chooses a provider; the one of last time stands out, and no more."""
        more: dict[str, str] = {}
        if asked.prompt:
            more["prompt"] = " ".join(asked.prompt)
        if asked.max_age_seconds is not None:
            more["max_age"] = str(asked.max_age_seconds)
        if asked.acr_values:
            more["acr_values"] = " ".join(asked.acr_values)
        if asked.form:
            more["form"] = asked.form
        if asked.fragment is not None:
            more["fragment"] = asked.fragment
        choices = tuple(
            Choice(
                name,
                self.answers.login_url(asked.return_path, idp=name, **more),
                self.cookies.was_chosen(issuer, cookies),
            )
            for name, issuer in self._issuers().items()
        )
        return self.answers.page("choose.html", request.environ, choices=choices)

    def _looped(
        self, request: Request, target: str, session: Found | Absent | Unavailable, *, wants_more: bool
    ) -> Response:
        """Stop a browser that signs in again and again, and say which check it fails.

        Args:
            wants_more: whether a fresher or stronger sign-in was asked for than the one there is.
        """
        reason = "valid" if isinstance(session, Found) else str(session.reason)
        if isinstance(session, Found):
            # Good on this address: either it is not enough, or it does not travel to where the app is open.
            check = LoopCheck.DEMAND if wants_more else LoopCheck.ADDRESS
        elif session.reason is AbsentReason.NO_COOKIE:
            check = LoopCheck.COOKIE
        elif session.reason in (AbsentReason.EXPIRED, AbsentReason.IDLE):
            check = LoopCheck.CLOCK
        else:
            check = LoopCheck.SESSION
        incident = self.refusals.new_incident()
        self.audit.emit(events.SignInLooped(check=str(check), reason=reason, incident=incident))
        response = self.answers.page(
            "login_loop.html",
            request.environ,
            status=403,
            check=check,
            address=self.config.public_url,
            incident=incident,
            retry_url=self.answers.login_url(target),
        )
        # The person decides about another round, so the count starts again.
        response.headers.add("Set-Cookie", self.cookies.loop(0))
        return response

    def _serves(self, record: SessionRecord, asked: LoginRequest) -> bool:
        """Whether what the IdP said last serves for this sign-in too, so that it needs no round trip.

        The session is the cache: it ends with `context_cache_seconds`, and with every sign-out. Whoever asks
        for a fresher, stronger or another sign-in is sent to the IdP.
        """
        party = self.relying_parties.get(record.iss)
        if party is None or party.provider.context_cache_seconds is None:
            return False
        more = asked.prompt or asked.max_age_seconds is not None or asked.acr_values or asked.login_hint
        return not more and asked.issuer in (None, record.iss)

    def _vouched(self, record: SessionRecord) -> str | None:
        return record.iss if record.iss in self.relying_parties else None

    def _issuers(self) -> Mapping[str, str]:
        """The issuer of each provider, by name."""
        return {party.provider.name: issuer for issuer, party in self.relying_parties.items()}

    def _chosen(self, issuer: str | None) -> RelyingParty | None:
        """The provider that is meant, or None when the person has to say."""
        if issuer is None:
            return next(iter(self.relying_parties.values())) if len(self.relying_parties) == 1 else None
        return self.relying_parties[issuer]


def _is_in_a_frame(request: Request, facts: Facts) -> bool:
    """Whether a page that is not ours begins the sign-in in a frame, an `object` or their like.

    There nobody sees who asks for it and on whose page it ends, and a page that begins many, hidden, would
    push out those that a person is at. Browsers too old to say so pass. Spec: Fetch Metadata 2.
    """
    return (
        request.headers.get("Sec-Fetch-Dest", "document") != "document" and facts.fetch_site != "same-origin"
    )
