"""The break-glass page: a sign-in with a password of the gate's own, where that is configured.

For the day on which no identity provider answers. Whoever comes in this way is still a known user of the
directory, for a short session that says how it began: `idp` is "break-glass", `amr` is "pwd". Passwords are
`local_users`, tries `guesses`, both next door; what a provider vouches for is `login`.
"""

import base64
import dataclasses
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.directory.port import AmbiguousUser, KnownUser, UserDirectory, fold
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import BREAK_GLASS_PATH
from oidcgate.gate.guesses import Guesses
from oidcgate.gate.local_users import Busy, LocalUsers
from oidcgate.gate.pages import BreakGlassProblem
from oidcgate.gate.session import Found, SessionRecord, SessionUnavailable, Unavailable, UnavailableReason
from oidcgate.gate.sessions import Sessions
from oidcgate.web.cookies import CookieNames, cookie_value, set_cookie
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.facts import Facts, RequestKind
from oidcgate.web.forwarded import TrustedPeers, client_network
from oidcgate.web.parameters import form_pairs, query_pairs

__all__ = ["IDP", "BreakGlass", "issuer_of"]

#: What takes the place of a provider's name.
IDP: Final = "break-glass"
_FORM_SECONDS: Final = 3600
_BINDING_BYTES: Final = 18
_BINDING: Final = re.compile(r"[A-Za-z0-9_-]{24}")
_SESSION_ID_BYTES: Final = 32


def issuer_of(public_url: str) -> str:
    """What takes the place of an issuer: no provider can have it, for it is ours."""
    return public_url + BREAK_GLASS_PATH


class _Why(StrEnum):
    """Why nobody was let in, as the audit log says it."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105 (a reason)
    UNKNOWN_NAME = "unknown_name"
    UNKNOWN_USER = "unknown_user"
    INACTIVE = "inactive"
    AMBIGUOUS = "ambiguous"


@dataclasses.dataclass(frozen=True)
class BreakGlass:
    """Shows the form and judges what comes back.

    Attributes:
        csrf: for tokens bound to a cookie of this form's own.
        trusted: whose word on where a request came from is believed.
        session_seconds: how long a session lasts at most.
        random_bytes: unpredictable bytes, for session ids and forms.
    """

    public_url: str
    local_users: LocalUsers
    guesses: Guesses
    users: UserDirectory
    sessions: Sessions
    csrf: CsrfTokens
    names: CookieNames
    trusted: TrustedPeers
    session_seconds: int
    answers: Answers
    audit: Audit
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]

    def show(self, request: Request, facts: Facts) -> Response:
        """The form: `GET /.oidcgate/break-glass`, with `rd=PATH` for where to go afterwards.

        Raises:
            BadRequest: the query cannot be read.
        """
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.login_required()
        return self._form(request, dict(query_pairs(request)))

    def sign_in(self, request: Request, facts: Facts) -> Response:
        """What was typed: `POST /.oidcgate/break-glass`.

        Raises:
            BadRequest: the form cannot be read.
            SessionUnavailable, StoreUnavailable, DirectoryUnavailable: nobody is let in, and no password
                counts as wrong.
        """
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.login_required()
        values, now = dict(form_pairs(request)), int(self.clock())
        cookies = request.headers.get("Cookie", "")
        binding = cookie_value(cookies, self.names.break_glass)
        ours = facts.is_same_origin((self.public_url,))
        if not ours or not self.csrf.check(values.get("csrf"), binding, _FORM_SECONDS, now):
            return self._form(request, values, BreakGlassProblem.EXPIRED, status=400)
        before = self.sessions.load(cookies, now)
        if isinstance(before, Unavailable):
            raise SessionUnavailable(before.reason)
        name = values.get("username", "").strip()
        network = client_network(
            request.remote_addr, request.headers, self.trusted.networks, unix=self.trusted.unix
        )
        if wait := self.guesses.take(name, network, now):
            self.audit.emit(events.BreakGlassSlowed(network, wait))
            response = self._form(request, values, BreakGlassProblem.SLOWED, status=429, wait=wait)
            response.headers["Retry-After"] = str(wait)
            return response
        try:
            right = self.local_users.admits(name, values.get("password", ""))
        except Busy:
            self.guesses.give_back(name, network, now)
            raise SessionUnavailable(UnavailableReason.BUSY) from None
        listed = self.local_users.named(name)
        if listed is None or not right:
            return self._refused(
                request,
                values,
                # What nobody is called may be a password in the wrong field: it is not written down.
                listed,
                network,
                _Why.UNKNOWN_NAME if listed is None else _Why.WRONG_PASSWORD,
            )
        # No guess, whoever the directory says that it is.
        self.guesses.forgive(name, network, now)
        user, why = self._known(listed, now)
        if user is None:
            return self._refused(request, values, listed, network, why)
        return self._admitted(
            user, values, network, before.record if isinstance(before, Found) else None, now
        )

    def _known(self, name: str, now: int) -> tuple[KnownUser | None, _Why]:
        try:
            user = self.users.find(name, now=now)
        except AmbiguousUser:
            return None, _Why.AMBIGUOUS
        if user is None:
            return None, _Why.UNKNOWN_USER
        return (user if user.active else None), _Why.INACTIVE

    def _admitted(
        self,
        user: KnownUser,
        values: Mapping[str, str],
        network: str,
        before: SessionRecord | None,
        now: int,
    ) -> Response:
        record = SessionRecord(
            session_id=self._random(_SESSION_ID_BYTES),
            iss=issuer_of(self.public_url),
            sub=fold(user.user_name),
            user_name=user.user_name,
            idp=IDP,
            display_name=user.display_name,
            auth_time=now,
            amr=("pwd",),
            known_at=now,
            absolute_at=now + self.session_seconds,
        )
        cookies = self.sessions.create(record, now, replaces=before)
        if before is not None:
            # The session that was here before does not survive the sign-in (G-23).
            self.sessions.end(before, now)
        self.audit.emit(events.BreakGlassUsed(user.user_name, network, before is not None))
        target = self.answers.return_path(values.get("rd", "")) or "/"
        response = self.answers.redirect(self.public_url + target)
        for cookie in cookies:
            response.headers.add("Set-Cookie", cookie)
        return response

    def _refused(
        self, request: Request, values: Mapping[str, str], listed: str | None, network: str, why: _Why
    ) -> Response:
        self.audit.emit(events.BreakGlassRefused(listed, str(why), network))
        problem = (
            BreakGlassProblem.WRONG
            if why in (_Why.WRONG_PASSWORD, _Why.UNKNOWN_NAME)
            else BreakGlassProblem.NOT_KNOWN
        )
        return self._form(request, values, problem, status=403)

    def _form(
        self,
        request: Request,
        values: Mapping[str, str],
        problem: BreakGlassProblem | None = None,
        *,
        status: int = 200,
        wait: int | None = None,
    ) -> Response:
        held = cookie_value(request.headers.get("Cookie", ""), self.names.break_glass)
        # The same for all tabs of a browser, so that the second does not spoil the first.
        binding = held if held and _BINDING.fullmatch(held) else self._random(_BINDING_BYTES)
        hidden: dict[str, Any] = {"csrf": self.csrf.issue(binding, int(self.clock()))}
        if (target := self.answers.return_path(values.get("rd", ""))) is not None:
            hidden["rd"] = target
        response = self.answers.page(
            "break_glass.html",
            request.environ,
            status=status,
            action=BREAK_GLASS_PATH,
            hidden=hidden,
            username=values.get("username", "") if problem is BreakGlassProblem.WRONG else "",
            problem=problem,
            retry_after_seconds=wait,
        )
        response.headers.add(
            "Set-Cookie",
            set_cookie(
                self.names.break_glass,
                binding,
                path="/",
                max_age=_FORM_SECONDS,
                same_site="Strict",
                secure=self.names.secure,
            ),
        )
        return response

    def _random(self, size: int) -> str:
        return base64.urlsafe_b64encode(self.random_bytes(size)).decode().rstrip("=")
