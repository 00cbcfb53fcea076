"""How the gate says no: as a page to a person, as JSON to a script, with the status that fits.

Lives here: what each decision and each failure turns into. Not here: what is decided (`decision`), the routes
(`login`, `logout`, `routes`), the forms of an answer (`answers`), texts and templates (`pages`); all are next
door.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from werkzeug import Response

from oidcgate.audit import Audit
from oidcgate.directory.port import DirectoryUnavailable
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import BREAK_GLASS_PATH, LOGOUT_PATH
from oidcgate.gate.context_sign_in import HookFailed
from oidcgate.gate.decision import Preflight, Refuse, StartLogin, StepUp, Unavailable
from oidcgate.gate.decision import Reason as DecisionReason
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.kept_forms import KeptForms
from oidcgate.gate.pages import ErrorKind
from oidcgate.gate.session import SessionTooLarge, SessionUnavailable, UnavailableReason
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.storage.records import StoreUnavailable
from oidcgate.web.canonical_path import quote_path
from oidcgate.web.cookies import has_gate_cookie
from oidcgate.web.facts import BadRequest, Facts, Misdirected, RequestKind

log = logging.getLogger("oidcgate.gate")

RETRY_AFTER_SECONDS: Final = 5


#: What a sign-in route may fail with and still know what to say.
Failure = (
    BadRequest,
    Refused,
    ProviderUnavailable,
    SessionUnavailable,
    StoreUnavailable,
    DirectoryUnavailable,
    SessionTooLarge,
    HookFailed,
)

#: What is neither the app's to answer nor a route of ours.
Refusal = StartLogin | StepUp | Refuse | Unavailable | Preflight

# What an operator has to look at.
_WHAT: Final[Mapping[StrEnum, str]] = {
    UnavailableReason.DIRECTORY: "directory",
    UnavailableReason.SESSION_STORE: "sessions",
    UnavailableReason.BUSY: "gate",
}
_EXPIRED: Final = frozenset({Reason.STATE_MISSING, Reason.STATE_REPEATED, Reason.STATE_UNKNOWN})


class Retry(NamedTuple):
    """What a sign-in that failed was to lead to.

    Attributes:
        return_path: where it was to end.
        kept: what waits for it, as parameters of a link to another one.
    """

    return_path: str
    kept: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Refusals:
    """What decisions and failures turn into.

    Attributes:
        new_incident: an id that page and log share, so that a person can be helped without being told the
            cause.
        break_glass: whether there is another way in while a provider does not answer.
    """

    answers: Answers
    audit: Audit
    forms: KeptForms
    new_incident: Callable[[], str]
    break_glass: bool = False

    def failure(
        self, error: Exception, facts: Facts | None, environ: Mapping[str, Any], *, retry: Retry | None = None
    ) -> Response:
        """The answer to a route that failed, and its line in the log.

        Args:
            error: one of `Failure`, or anything else: then it is a fault of ours.
            facts: None when the request could not be understood.
            retry: what the sign-in that failed was to lead to, so that starting again leads there.
        """
        incident = self.new_incident()
        page = _is_for_a_person(facts, environ)
        match error:
            case ProviderUnavailable():
                wait = error.retry_after_seconds
                return self._unavailable("provider", error.detail, incident, environ, page, retry, wait)
            case SessionUnavailable():
                what = _WHAT.get(error.reason, "state")
                return self._unavailable(what, str(error), incident, environ, page, retry)
            case StoreUnavailable():
                return self._unavailable("state", str(error), incident, environ, page, retry)
            case DirectoryUnavailable():
                return self._unavailable("directory", str(error), incident, environ, page, retry)
            case Refused():
                return self._sign_in_refused(error, incident, environ, page, retry)
            case SessionTooLarge():
                self.audit.emit(events.SignInRefused("session_too_large", str(error), incident))
                return self._error(500, ErrorKind.TOO_LARGE, "session_too_large", incident, environ, page)
            case HookFailed():
                self.audit.emit(events.SignInRefused("hook_failed", str(error), incident))
                return self._error(500, ErrorKind.SERVER_ERROR, "hook_failed", incident, environ, page)
            case BadRequest():
                return self._error(400, ErrorKind.BAD_REQUEST, str(error.reason), None, environ, page)
        log.error("incident %s: %s failed", incident, environ.get("PATH_INFO", ""), exc_info=error)
        return self._error(500, ErrorKind.SERVER_ERROR, "internal_error", incident, environ, page)

    def not_found(self, facts: Facts | None, environ: Mapping[str, Any]) -> Response:
        """The answer under `/.oidcgate/` where there is no route."""
        page = _is_for_a_person(facts, environ)
        return self._error(404, ErrorKind.NOT_FOUND, "not_found", None, environ, page)

    def form_gone(self, environ: Mapping[str, Any]) -> Response:
        """The page for whom no form waits, or not in this browser."""
        return self._error(404, ErrorKind.FORM_GONE, "form_gone", None, environ, page=True)

    def _again(self, retry: Retry | None) -> str:
        if retry is None:
            return self.answers.login_url()
        return self.answers.login_url(retry.return_path, **retry.kept)

    def _sign_in_refused(
        self, error: Refused, incident: str, environ: Mapping[str, Any], page: bool, retry: Retry | None
    ) -> Response:
        detail = ": ".join(filter(None, (error.error, error.detail)))
        self.audit.emit(events.SignInRefused(str(error.reason), detail, incident))
        if error.reason in _EXPIRED:
            # Too late, or elsewhere; but who has no cookie at all has to look at something else (G-12).
            told = has_gate_cookie(environ.get("HTTP_COOKIE", ""))
            status, kind = 400, ErrorKind.SIGN_IN_EXPIRED if told else ErrorKind.NO_COOKIES
        elif error.error == "access_denied":
            status, kind = 403, ErrorKind.CANCELLED
        else:
            status, kind = 400, ErrorKind.SIGN_IN_FAILED
        return self._error(
            status, kind, str(error.reason), incident, environ, page, retry_url=self._again(retry)
        )

    def _error(
        self,
        status: int,
        kind: ErrorKind,
        code: str,
        incident: str | None,
        environ: Mapping[str, Any],
        page: bool,
        *,
        retry_url: str | None = None,
    ) -> Response:
        if page:
            return self.answers.page(
                "error.html", environ, status=status, kind=kind, incident=incident, retry_url=retry_url
            )
        document = {"error": code} if incident is None else {"error": code, "incident": incident}
        return self.answers.json(status, document)

    def _unavailable(
        self,
        what: str,
        detail: str,
        incident: str,
        environ: Mapping[str, Any],
        page: bool,
        retry: Retry | None,
        retry_after_seconds: int = RETRY_AFTER_SECONDS,
    ) -> Response:
        self.audit.emit(events.ServiceUnavailable(what, detail, incident))
        if page:
            # An empty reference is the page itself, whose address may hold a code that is not to be repeated.
            reload = "" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else None
            retry_url = reload if retry is None else self._again(retry)
            response = self.answers.page(
                "unavailable.html",
                environ,
                status=503,
                retry_url=retry_url,
                retry_after_seconds=retry_after_seconds,
                incident=incident,
                break_glass_url=self._break_glass_url(environ, retry) if what == "provider" else None,
            )
        else:
            response = self.answers.json(503, {"error": "temporarily_unavailable", "incident": incident})
        response.headers["Retry-After"] = str(retry_after_seconds)
        return response

    def _break_glass_url(self, environ: Mapping[str, Any], retry: Retry | None) -> str | None:
        """Where else to sign in, on the way to the same place."""
        if not self.break_glass:
            return None
        wanted = (
            retry.return_path if retry else dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("rd", "")
        )
        target = self.answers.return_path(wanted)
        return BREAK_GLASS_PATH + (f"?{urlencode({'rd': target})}" if target else "")

    def respond(self, decision: Refusal, facts: Facts | None, environ: Mapping[str, Any]) -> Response:
        """The answer to a request that is not passed on, a WSGI callable; never raises.

        Args:
            facts: None when the request could not be understood.
        """
        try:
            return self._respond(decision, facts, environ)
        except Exception as error:  # the boundary: whatever it is, somebody waits for an answer
            return self.failure(error, facts, environ)

    def _respond(self, decision: Refusal, facts: Facts | None, environ: Mapping[str, Any]) -> Response:
        if isinstance(decision, StartLogin):
            asked = {"prompt": "none"} if decision.silent else {}
            return self.answers.redirect(self.answers.login_url(decision.return_path, **asked), status=302)
        if isinstance(decision, StepUp):
            return self.answers.redirect(self.step_up_url(decision), status=302)
        if isinstance(decision, Preflight):
            return self.answers.no_grant()
        incident = self.new_incident()
        page = _is_for_a_person(facts, environ)
        if isinstance(decision, Unavailable):
            detail = str(decision.reason)
            what = _WHAT.get(decision.reason, "state")
            return self._unavailable(
                what, detail, incident, environ, page, None, decision.retry_after_seconds
            )
        reason = str(decision.reason)
        if decision.status == Misdirected.status:
            return self._error(decision.status, ErrorKind.OTHER_HOST, reason, None, environ, page)
        if facts is None or decision.status == BadRequest.status:
            return self._error(400, ErrorKind.BAD_REQUEST, reason, None, environ, page)
        if decision.status == 401:
            if not page:
                return self.answers.login_required()
            return self._form_refused(facts, environ)
        self.audit.emit(events.AccessRefused(decision.user_name, facts.method, facts.path, reason, incident))
        if decision.reason is DecisionReason.UNKNOWN_USER and page:
            return self.unknown_user(decision.user_name or "", "/", environ)
        return self._error(decision.status, ErrorKind.FORBIDDEN, reason, incident, environ, page)

    def _form_refused(self, facts: Facts, environ: Mapping[str, Any]) -> Response:
        """The answer to a form that met no session: nothing of it was passed on."""
        kept = self.forms.keep(facts, environ)
        waiting = {} if kept is None else {"form": kept.form_id}
        response = self.answers.page(
            "session_ended.html",
            environ,
            status=401,
            login_url=self.answers.login_url(quote_path(facts.path), **waiting),
            kept=kept is not None,
        )
        if kept is not None:
            response.headers.add("Set-Cookie", kept.cookie)
        return response

    def step_up_url(self, decision: StepUp) -> str:
        """Where a sign-in begins that is what `decision` asks for."""
        asked = {}
        if decision.max_age_seconds is not None:
            asked["max_age"] = str(decision.max_age_seconds)
        if decision.acr_values:
            asked["acr_values"] = " ".join(decision.acr_values)
        return self.answers.login_url(decision.return_path, **asked)

    def unknown_user(
        self, user_name: str, return_path: str, environ: Mapping[str, Any], *, inactive: bool = False
    ) -> Response:
        """The page for whom the IdP vouches and the directory does not let in; offers another account."""
        return self.answers.page(
            "unknown_user.html",
            environ,
            status=403,
            # The form signs out at the IdP, which may lead on to wherever it signs people out.
            form_action=self.answers.sign_out_targets,
            user_name=user_name,
            inactive=inactive,
            action=LOGOUT_PATH,
            hidden={"switch": "1", "rd": return_path},
        )

    def somebody_else(
        self, user_name: str, return_path: str, incident: str, environ: Mapping[str, Any]
    ) -> Response:
        """The page for whom the IdP calls by a name that belongs to another person here."""
        return self.answers.page(
            "somebody_else.html",
            environ,
            status=403,
            form_action=self.answers.sign_out_targets,
            user_name=user_name,
            incident=incident,
            action=LOGOUT_PATH,
            hidden={"switch": "1", "rd": return_path},
        )


def _is_for_a_person(facts: Facts | None, environ: Mapping[str, Any]) -> bool:
    """Whether a person reads the answer; of a request that was not understood, whether it asks for a page."""
    if facts is None:
        return "text/html" in environ.get("HTTP_ACCEPT", "")
    return facts.kind is RequestKind.NAVIGATION
