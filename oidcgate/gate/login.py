"""The way back from the IdP: `/.oidcgate/callback`.

Lives here: which attempt an answer belongs to, what becomes of it, and the three ends it has: a session, a
refusal, or another try later. Not here: the way there (`login_start`), what the IdP has to prove
(`relying_party`), how an attempt is kept (`transaction`), sessions (`session`), and how refusals look
(`refusals`), all next door.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.directory.port import AmbiguousUser, KnownUser, LookAlike, user_name_problem
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import GateConfig
from oidcgate.gate.context_sign_in import Contexts
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.fragments import Fragments
from oidcgate.gate.kept_tokens import Kept
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.last_sign_ins import LastSignIn, LastSignIns
from oidcgate.gate.login_cookies import LoginCookies
from oidcgate.gate.login_request import LoginFault
from oidcgate.gate.pins import Pin, Pins
from oidcgate.gate.policy import Policy
from oidcgate.gate.posted_answers import send_again, was_sent_again
from oidcgate.gate.refresh import begun
from oidcgate.gate.refusals import Failure, Refusals, Retry
from oidcgate.gate.relying_party import RelyingParty, SignedIn
from oidcgate.gate.session import Absent, Found, SessionRecord, SessionUnavailable, Unavailable
from oidcgate.gate.session_frame import SessionFrame, SomebodyElse
from oidcgate.gate.sessions import Ended, Sessions
from oidcgate.gate.token_revocation import REQUEST_SECONDS, TokenRevocation
from oidcgate.gate.transaction import Transaction, Transactions
from oidcgate.identity import Identity
from oidcgate.protocol.distributed_claims import claims_elsewhere
from oidcgate.protocol.errors import NEED_A_PERSON, Reason, Refused
from oidcgate.protocol.session_management import session_state_of
from oidcgate.web.facts import BadRequest, Facts, RequestKind
from oidcgate.web.parameters import form_pairs, query_pairs


@dataclasses.dataclass(frozen=True)
class Login:
    """Finishes sign-ins.

    Attributes:
        relying_parties: by issuer.
        pins: whose a known userName is; None: whoever presents it comes in.
    """

    config: GateConfig
    relying_parties: Mapping[str, RelyingParty]
    transactions: Transactions
    cookies: LoginCookies
    sessions: Sessions
    token_revocation: TokenRevocation
    users: KnownUsers
    pins: Pins | None
    policy: Policy
    contexts: Contexts
    fragments: Fragments
    session_frame: SessionFrame
    last_sign_ins: LastSignIns
    answers: Answers
    refusals: Refusals
    audit: Audit
    clock: Callable[[], float]

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
            posted = request.method == "POST" and facts.kind is RequestKind.NAVIGATION
            if posted and not was_sent_again(request):
                return send_again(self.answers, request.environ, facts.path, pairs)
            return self._without_attempt(cookies, now)
        party = self.relying_parties.get(transaction.issuer)
        if party is None or (request.method == "POST") != (party.provider.response_mode == "form_post"):
            raise BadRequest(LoginFault.RESPONSE_MODE)
        before = self.sessions.load(cookies, now)
        if isinstance(before, Unavailable):
            raise SessionUnavailable(before.reason)
        try:
            # Before anything is spent: an IdP that cannot be found now is asked again by reloading the page.
            party.discovery.metadata()
        except ProviderUnavailable as error:
            if (response := self._after_silence(transaction, request, before, error)) is None:
                raise
            return response
        try:
            code = party.code(pairs, transaction, facts.path)
            signed_in = party.complete(code, transaction, now)
            if transaction.framed:
                self.session_frame.confirm(signed_in, transaction, before)
            if transaction.confirms and not _confirms(signed_in, transaction, before):
                raise Refused(Reason.ID_TOKEN_SUB, "the silent sign-in is about somebody else")
            state_there = session_state_of(pairs) if party.provider.session_check_seconds else None
            response = self._admitted(facts, request, transaction, signed_in, before, now, state_there)
        except (*Failure, SomebodyElse) as error:
            if transaction.framed:
                response = self.session_frame.unconfirmed(error, before, now)
            else:
                response = self._after_silence(transaction, request, before, error) or self.refusals.failure(
                    error, facts, request.environ, retry=_another_try(transaction)
                )
        # Whatever came of it, the attempt is over: a second answer to it finds nothing.
        for cookie in self.transactions.end(state):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _admitted(
        self,
        facts: Facts,
        request: Request,
        transaction: Transaction,
        signed_in: SignedIn,
        before: Found | Absent,
        now: int,
        session_state: str | None,
    ) -> Response:
        """A session for whom the directory knows by that name; for others the page that says so."""
        user, why = self._user(signed_in.user_name, now)
        # A stranger's name is the IdP's word alone, and it becomes REMOTE_USER: what no directory could hold
        # (a line break, an invisible character) is no name.
        stranger = why == "unknown" and user_name_problem(signed_in.user_name) is None
        if user is None and not (stranger and self.policy.admits_unknown):
            return self._user_refused(facts, request, transaction, signed_in, why)
        proof = signed_in.id_token
        if self.pins is not None:
            # A name whose owner left the directory stays theirs, and a stranger's is not pinned.
            pin = (
                self.pins.of(signed_in.user_name, now)
                if user is None
                else self.pins.claim(user.user_name, transaction.issuer, proof.sub, now)
            )
            if pin is not None and not pin.is_of(transaction.issuer, proof.sub):
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
            session_state=session_state,
        )
        # In the store and not in the cookie, which it would fill: the ID token is needed once, at sign-out.
        # Before the question, so that a sign-out in between finds it (`Sessions.forbid`).
        kept = self._kept(record.session_id, signed_in, transaction, now)
        self.sessions.kept_tokens.keep(kept, now)
        # First, for it can fail: an outage must not cost anybody the session they have.
        replaced = before.record if isinstance(before, Found) else None
        cookies = self.sessions.create(record, now, replaces=replaced)
        if self.sessions.was_overtaken(record, transaction.started_at, now):
            # Signed out in another tab, or by the IdP, meanwhile. The session is dead; sending the browser on
            # would begin anew.
            self.sessions.end(record, now)
            # What has just come: whoever signed out may have been too early to find it.
            self.token_revocation.revoke([Ended(record, kept)], REQUEST_SECONDS)
            self.audit.emit(events.SignInRefused("signed_out_meanwhile", "", self.refusals.new_incident()))
            return self.answers.redirect(self.config.logged_out_url)
        if replaced is not None:
            # The session that is here now does not survive it, whichever tab it came from (G-23).
            self.sessions.end(replaced, now)
        self.last_sign_ins.note(
            LastSignIn(
                user_name=record.user_name,
                claimed_name=signed_in.user_name,
                iss=record.iss,
                sub=record.sub,
                at=now,
                acr=record.acr,
                amr=record.amr,
                ways=context.ways,
            )
        )
        self.audit.emit(
            events.SignedIn(
                user_name=record.user_name,
                claimed_name=signed_in.user_name,
                sub=proof.sub,
                issuer=transaction.issuer,
                acr=record.acr,
                amr=record.amr,
                replaced=replaced is not None,
            )
        )
        if elsewhere := claims_elsewhere(signed_in.claims):
            self.audit.emit(events.ClaimsElsewhere(record.user_name, transaction.issuer, elsewhere))
        response = self._arrival(transaction, request)
        cookies.append(self.cookies.loop(transaction.loops + 1))
        if len(self.relying_parties) > 1:
            cookies.append(self.cookies.choice(transaction.issuer))
        for cookie in cookies:
            response.headers.add("Set-Cookie", cookie)
        return response

    def _after_silence(
        self, transaction: Transaction, request: Request, before: Found | Absent, error: Exception
    ) -> Response | None:
        """The answer when a silent sign-in came to nothing; None when it was none, or no session is there.

        Where the provider wants to see the person, they sign in. All else ends nothing: the session goes on,
        and is sent there again later.

        Spec: OIDC Core 3.1.2.6.
        """
        if not transaction.confirms or not isinstance(before, Found):
            return None
        refused = error if isinstance(error, Refused) else None
        if refused is not None and (refused.error in NEED_A_PERSON or refused.reason is Reason.ID_TOKEN_SUB):
            name = self.relying_parties[transaction.issuer].provider.name
            more = {**_another_try(transaction).kept, **({"idp": name} if name else {})}
            return self.answers.redirect(self.answers.login_url(transaction.return_path, **more))
        reason = type(error).__name__ if refused is None else str(refused.reason)
        detail = str(error) if refused is None else refused.detail or refused.error or ""
        self.audit.emit(events.SignInRefused(reason, detail, self.refusals.new_incident()))
        return self._arrival(transaction, request)

    def _kept(self, session_id: str, signed_in: SignedIn, transaction: Transaction, now: int) -> Kept:
        settings, tokens = self.config.session, signed_in.tokens
        if not settings.keep_tokens:
            return Kept(session_id, tokens.id_token)
        return begun(
            session_id,
            tokens,
            transaction.nonce,
            now,
            settings.refresh_before_seconds,
            with_access_token=self.config.forward.access_token,
        )

    def _arrival(self, transaction: Transaction, request: Request) -> Response:
        """The way to where the sign-in was to lead."""
        url = self.config.public_url + transaction.return_path
        if transaction.form:
            return self.answers.redirect(self.answers.resend_url(transaction.form))
        if transaction.fragment:
            return self.fragments.restore(request.environ, url, transaction.fragment)
        return self.answers.redirect(url)

    def _user(self, name: str, now: int) -> tuple[KnownUser | None, str]:
        """Whom the directory means by `name`, or nobody and why."""
        try:
            user = self.users.find(name, now=now)
        except LookAlike:
            return None, "look-alike"
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


def _another_try(transaction: Transaction) -> Retry:
    kept = {"fragment": transaction.fragment, "form": transaction.form}
    return Retry(transaction.return_path, {name: key for name, key in kept.items() if key})


def _confirms(signed_in: SignedIn, transaction: Transaction, before: Found | Absent) -> bool:
    """Whether a silent sign-in is about the person whose session was there, and about nobody since."""
    people = {(transaction.issuer, transaction.confirms)}
    if isinstance(before, Found):
        people.add((before.record.iss, before.record.sub))
    return people == {(transaction.issuer, signed_in.id_token.sub)}


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
