"""The two routes of a sign-in: the one that sends a browser to the IdP, and the one it comes back to.

Lives here: which attempt an answer belongs to, what becomes of it, and the three ends it has: a session, a
refusal, or another try later. Not here: what the IdP has to prove (`relying_party`), how an attempt is kept
(`transaction`), sessions (`session`), and how refusals look (`refusals`), all next door.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlencode

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.directory.port import AmbiguousUser, KnownUser, UserDirectory, user_name_problem
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import LOGIN_PATH, GateConfig
from oidcgate.gate.context_sign_in import Contexts
from oidcgate.gate.kept_tokens import Kept
from oidcgate.gate.login_request import LoginFault, LoginRequest, from_another_site, of_our_own
from oidcgate.gate.pages import Choice, LoopCheck
from oidcgate.gate.pins import Pin, Pins
from oidcgate.gate.policy import Policy
from oidcgate.gate.refusals import Failure, Refusals
from oidcgate.gate.relying_party import RelyingParty, SignedIn
from oidcgate.gate.session import Absent, AbsentReason, Found, SessionRecord, SessionUnavailable, Unavailable
from oidcgate.gate.sessions import Sessions
from oidcgate.gate.transaction import SEED_BYTES, Transaction, Transactions
from oidcgate.identity import Identity
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.web.cookies import GATE_PATH, cookie_value, delete_cookie, set_cookie
from oidcgate.web.facts import BadRequest, Facts, RequestKind
from oidcgate.web.parameters import form_pairs, query_pairs

MAX_LOOPS: Final = 3
LOOP_SECONDS: Final = 60
_CHOICE_SECONDS: Final = 180 * 86_400


@dataclasses.dataclass(frozen=True)
class Login:
    """Begins and finishes sign-ins.

    Attributes:
        relying_parties: by issuer; of several a person chooses, unless rule or link names one.
        pins: whose a known userName is; None: whoever presents it comes in.
        random_bytes: unpredictable bytes, for the seed of each attempt.
    """

    config: GateConfig
    relying_parties: Mapping[str, RelyingParty]
    transactions: Transactions
    sessions: Sessions
    users: UserDirectory
    pins: Pins | None
    policy: Policy
    contexts: Contexts
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
            BadRequest: a parameter cannot be read.
            ProviderUnavailable: where to send the browser is not known.

        Spec: OIDC Core 4.
        """
        pairs = form_pairs(request) if request.method == "POST" else query_pairs(request)
        asked = self._from_another_site(request, pairs)
        if asked is None:
            if request.method == "POST":
                raise BadRequest(LoginFault.ISSUER)
            asked = of_our_own(pairs, self.answers.return_path, self._issuers())
        if facts.kind is not RequestKind.NAVIGATION:
            # An attempt that no person will finish would only take a place among those that one does (G-02).
            return self.answers.login_required()
        if request.method == "POST":
            # Of a POST from elsewhere a browser keeps our cookies: who is signed in here, and how many
            # attempts there are, is seen only by the GET that follows.
            return self.answers.redirect(f"{self.config.public_url}{LOGIN_PATH}?{urlencode(pairs)}")
        wants_more = asked.max_age_seconds is not None or bool(asked.acr_values)
        asked = asked.under(self.policy)
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        session = self.sessions.load(cookies, now)
        loops = self._loops(cookies)
        if isinstance(session, Found) and asked.issuer not in (None, session.record.iss):
            # Whoever goes back and forth between the pages of two providers goes in no circle.
            loops = 0
        if loops >= MAX_LOOPS:
            return self._looped(request, asked.return_path, session, wants_more=wants_more)
        if isinstance(session, Found) and self._serves(session.record, asked):
            return self.answers.redirect(self.config.public_url + asked.return_path)
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
        )
        # A name that this gate verified; one that a request merely claims only where a switch says so (F-15).
        known = session.record.user_name if isinstance(session, Found) else None
        hint = asked.login_hint or (None if asked.prompt else known)
        url = party.authorization_url(transaction, prompt=asked.prompt, login_hint=hint)
        response = self.answers.redirect(url)
        for cookie in self.transactions.begin(transaction, cookies, now):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _from_another_site(self, request: Request, pairs: list[tuple[str, str]]) -> LoginRequest | None:
        asked = from_another_site(
            pairs,
            self.answers.return_path,
            self._issuers(),
            hint=self.config.login.accept_login_hint,
        )
        # In a frame nobody sees who asks for the sign-in, and whose page it ends on.
        if asked is not None and request.headers.get("Sec-Fetch-Dest", "document") != "document":
            raise BadRequest(LoginFault.FRAMED)
        return asked

    def _choose(self, request: Request, asked: LoginRequest, cookies: str) -> Response:
        """The page on which a person chooses a provider; the one of last time stands out, and no more."""
        last = cookie_value(cookies, self.transactions.names.choice)
        more: dict[str, str] = {}
        if asked.prompt:
            more["prompt"] = " ".join(asked.prompt)
        if asked.max_age_seconds is not None:
            more["max_age"] = str(asked.max_age_seconds)
        if asked.acr_values:
            more["acr_values"] = " ".join(asked.acr_values)
        choices = tuple(
            Choice(name, self.answers.login_url(asked.return_path, idp=name, **more), _mark(issuer) == last)
            for name, issuer in self._issuers().items()
        )
        return self.answers.page("choose.html", request.environ, choices=choices)

    def callback(self, request: Request, facts: Facts) -> Response:
        """Finish the attempt that an authorization response belongs to: `/.oidcgate/callback`.

        Nothing is believed and nobody is asked before `state` opened an attempt of this very browser.

        Raises:
            Refused: no attempt of this browser; BadRequest: the response cannot be read.
            ProviderUnavailable, StoreUnavailable: before the code was sent anywhere: reloading the page tries
                again.
        """
        pairs = query_pairs(request) + (form_pairs(request) if request.method == "POST" else [])
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        state = _only_state(pairs)
        transaction = self.transactions.open(cookies, state, now)
        if transaction is None:
            return self._without_attempt(cookies, now)
        party = self.relying_parties.get(transaction.issuer)
        if party is None or (request.method == "POST") != (party.provider.response_mode == "form_post"):
            raise BadRequest(LoginFault.RESPONSE_MODE)
        before = self.sessions.load(cookies, now)
        if isinstance(before, Unavailable):
            raise SessionUnavailable(before.reason)
        # Before anything is spent: an IdP that cannot be found now is asked again by reloading the page.
        party.discovery.metadata()
        try:
            code = party.code(pairs, transaction)
            signed_in = party.complete(code, transaction, now)
            response = self._admitted(facts, request, transaction, signed_in, before, now)
        except Failure as error:
            response = self.refusals.failure(error, facts, request.environ, retry=transaction.return_path)
        # Whatever came of it, the attempt is over: a second answer to it finds nothing.
        response.headers.add("Set-Cookie", self.transactions.end(state))
        return response

    def _admitted(
        self,
        facts: Facts,
        request: Request,
        transaction: Transaction,
        signed_in: SignedIn,
        before: Found | Absent,
        now: int,
    ) -> Response:
        """A session for whom the directory knows by that name; for others the page that says so."""
        user, why = self._user(signed_in.user_name, now)
        # A stranger's name is the IdP's word alone, and it becomes REMOTE_USER: what no directory could hold
        # (a line break, an invisible character) is no name.
        stranger = why == "unknown" and user_name_problem(signed_in.user_name) is None
        if user is None and not (stranger and self.policy.admits_unknown):
            return self._user_refused(facts, request, transaction, signed_in, why)
        proof = signed_in.id_token
        if user is not None and self.pins is not None:
            pin = self.pins.claim(user.user_name, transaction.issuer, proof.sub, now)
            if not pin.is_of(transaction.issuer, proof.sub):
                return self._somebody_else(facts, request, transaction, signed_in, pin)
        provider = self.relying_parties[transaction.issuer].provider
        cached = provider.context_cache_seconds
        who = Identity(
            user_name=signed_in.user_name if user is None else user.user_name,
            sub=proof.sub,
            issuer=transaction.issuer,
            idp=provider.name,
            auth_time=proof.auth_time,
            acr=proof.acr,
            display_name=None if user is None else user.display_name,
            known=user is not None,
        )
        context = self.contexts.of(signed_in, who)
        record = SessionRecord(
            session_id=transaction.session_id,
            iss=who.issuer,
            sub=who.sub,
            user_name=who.user_name,
            sid=proof.sid,
            idp=who.idp,
            display_name=who.display_name,
            auth_time=who.auth_time,
            acr=who.acr,
            amr=context.amr,
            claims=context.claims,
            absolute_at=0 if cached is None else now + cached,
            known_at=0 if user is None else now,
            tokens=True,
            stranger=user is None and self.pins is not None,
        )
        # In the store and not in the cookie, which it would fill: the ID token is needed once, at sign-out.
        # Before the question, so that a sign-out in between finds it (`Sessions.forbid`).
        kept_tokens = self.sessions.kept_tokens
        kept_tokens.keep(Kept(record.session_id, signed_in.raw_id_token), now)
        if self.sessions.is_revoked(record.session_id, now):
            kept_tokens.take(record.session_id, now)
            # Signed out in another tab meanwhile. The session would be dead; sending the browser on would
            # begin anew.
            self.audit.emit(events.SignInRefused("signed_out_meanwhile", "", self.refusals.new_incident()))
            return self.answers.redirect(self.config.logged_out_url)
        # First, for it can fail: an outage must not cost anybody the session they have.
        replaced = before.record if isinstance(before, Found) else None
        cookies = self.sessions.create(record, now, replaces=replaced)
        if isinstance(before, Found):
            # The session that was here before the sign-in page does not survive it (G-23).
            self.sessions.end(before.record, now)
        self.audit.emit(
            events.SignedIn(
                user_name=record.user_name,
                claimed_name=signed_in.user_name,
                sub=proof.sub,
                issuer=transaction.issuer,
                acr=record.acr,
                amr=record.amr,
                replaced=isinstance(before, Found),
            )
        )
        response = self.answers.redirect(self.config.public_url + transaction.return_path)
        for cookie in (
            *cookies,
            self._loop_cookie(transaction.loops + 1),
            *self._choice_cookie(transaction.issuer),
        ):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _user(self, name: str, now: int) -> tuple[KnownUser | None, str]:
        """Whom the directory means by `name`, or nobody and why."""
        try:
            user = self.users.find(name, now=now)
        except AmbiguousUser:
            return None, "ambiguous"
        if user is None:
            return None, "unknown"
        return (user, "") if user.active else (None, "inactive")

    def _user_refused(
        self, facts: Facts, request: Request, transaction: Transaction, signed_in: SignedIn, why: str
    ) -> Response:
        incident = self.refusals.new_incident()
        self.audit.emit(
            events.UserRefused(
                claimed_name=signed_in.user_name,
                why=why,
                sub=signed_in.id_token.sub,
                issuer=transaction.issuer,
                incident=incident,
            )
        )
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.json(403, {"error": "unknown_user", "incident": incident})
        return self.refusals.unknown_user(
            signed_in.user_name, transaction.return_path, request.environ, inactive=why == "inactive"
        )

    def _somebody_else(
        self, facts: Facts, request: Request, transaction: Transaction, signed_in: SignedIn, pin: Pin
    ) -> Response:
        """The page for whom the provider calls by a name that is another person's here (C-12)."""
        incident = self.refusals.new_incident()
        self.audit.emit(
            events.PinRefused(
                user_name=pin.user_name,
                claimed_name=signed_in.user_name,
                sub=signed_in.id_token.sub,
                issuer=transaction.issuer,
                pinned_sub=pin.sub,
                pinned_issuer=pin.iss,
                pinned_at=pin.pinned_at,
                incident=incident,
            )
        )
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.json(403, {"error": "name_of_somebody_else", "incident": incident})
        return self.refusals.somebody_else(
            signed_in.user_name, transaction.return_path, incident, request.environ
        )

    def _without_attempt(self, cookies: str, now: int) -> Response:
        """Answer an IdP's answer to no attempt of this browser: replayed, too late, or another browser's.

        Whoever is signed in pressed the back button or reloaded; for them the sign-in has long worked.
        """
        match self.sessions.load(cookies, now):
            case Found():
                return self.answers.redirect(self.config.public_url + "/")
            case Unavailable(unavailable):
                raise SessionUnavailable(unavailable)
            case Absent():
                raise Refused(Reason.STATE_UNKNOWN, "no attempt of this browser has that state")

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
        response.headers.add("Set-Cookie", self._loop_cookie(0))
        return response

    def _loops(self, cookies: str) -> int:
        value = cookie_value(cookies, self.transactions.names.loop) or ""
        # The browser's to forge: that could only stop its own sign-in.
        return int(value) if len(value) == 1 and value.isascii() and value.isdigit() else 0

    def _loop_cookie(self, count: int) -> str:
        names = self.transactions.names
        if not count:
            return delete_cookie(names.loop, path=GATE_PATH, secure=names.secure)
        return set_cookie(
            names.loop, str(min(count, 9)), path=GATE_PATH, max_age=LOOP_SECONDS, secure=names.secure
        )

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

    def _issuers(self) -> Mapping[str, str]:
        """The issuer of each provider, by name."""
        return {party.provider.name: issuer for issuer, party in self.relying_parties.items()}

    def _chosen(self, issuer: str | None) -> RelyingParty | None:
        """The provider that is meant, or None when the person has to say."""
        if issuer is None:
            return next(iter(self.relying_parties.values())) if len(self.relying_parties) == 1 else None
        return self.relying_parties[issuer]

    def _choice_cookie(self, issuer: str) -> list[str]:
        """What remembers the provider for the chooser; nothing where there is no choice."""
        if len(self.relying_parties) == 1:
            return []
        names = self.transactions.names
        return [
            set_cookie(
                names.choice, _mark(issuer), path=GATE_PATH, max_age=_CHOICE_SECONDS, secure=names.secure
            )
        ]


def _mark(issuer: str) -> str:
    """An issuer as a cookie may hold it, and as nothing reads it but a comparison."""
    return hashlib.sha256(issuer.encode()).hexdigest()[:16]


def _only_state(pairs: Iterable[tuple[str, str]]) -> str:
    """The one `state`, which says whose answer this is.

    Raises:
        Refused: it is missing or repeated.
    """
    states = [value for name, value in pairs if name == "state"]
    if len(states) > 1:
        raise Refused(Reason.STATE_REPEATED)
    if not states or not states[0]:
        raise Refused(Reason.STATE_MISSING)
    return states[0]
