"""One example of every page and every state of it, for the tests that hold for all pages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Response

from oidcgate.gate.pages import BreakGlassProblem, Choice, LoopCheck, gate_pages
from oidcgate.gate.pages import ErrorKind as GateError
from oidcgate.proxy.pages import proxy_pages
from oidcgate.web.pages import Pages
from provider.factors.enrolment import qr_code
from provider.instants import moment
from provider.pages import (
    About,
    ApplicationLine,
    DeviceOutcome,
    DeviceProblem,
    FactorProblem,
    LoginProblem,
    LogoutProblem,
    MyNotice,
    OrganizationLine,
    PasswordProblem,
    ProfileLine,
    ProfileProblem,
    ScopeLine,
    SessionLine,
    form_post,
    provider_pages,
)
from provider.pages import ErrorKind as ProviderError

GATE = gate_pages()
PROXY = proxy_pages()
PROVIDER = provider_pages()

FIELDS = {"csrf": "a token", "interaction": "an id"}
INCIDENT = "7K3F-Q9WD-2MXA"
OTPAUTH = "otpauth://totp/id.example.com:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=id.example.com"
NOTHING_SAID = About()
# The image is in the page, so that a browser asks nobody for it.
ABOUT = About(
    home="https://app.example.com/",
    logo="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E"
    "%3Ccircle cx='4.5' cy='4.5' r='4' fill='%23a3231c'/%3E%3C/svg%3E",
    policy="https://app.example.com/privacy?of=people#all",
    terms="https://app.example.com/terms",
)
LINKS = ("client-home", "client-policy", "client-terms")
SCOPES = (
    ScopeLine("openid", "Know who you are", "An identifier that stays the same", optional=False),
    ScopeLine("profile", "See your profile", "Your name and user name", optional=True),
    ScopeLine("email", "See your email address", "", optional=True),
)


@dataclass(frozen=True)
class Example:
    """A page in one state.

    Attributes:
        main: id of its `<main>`.
        stops: ids that the Tab key reaches, in order.
        context: what the template is given.
    """

    pages: Pages
    template: str
    main: str
    stops: tuple[str, ...]
    context: Mapping[str, Any] = field(default_factory=dict)

    def render(self, **changes: Any) -> Response:
        """Render the page, some of its context changed."""
        context = {**self.context, **changes}
        if self.template == "form_post.html":
            return form_post(self.pages, language="en", **context)
        return self.pages.render(self.template, language="en", **context)


def _gate(template: str, main: str, stops: tuple[str, ...], **context: Any) -> Example:
    return Example(GATE, template, main, stops, {"site": "app.example.com", **context})


def _app_down(repeatable: bool, *stops: str) -> Example:
    context = {"site": "app.example.com", "number": 502, "repeatable": repeatable}
    return Example(PROXY, "app_down.html", "page-app-down", stops, context)


def _provider(template: str, main: str, stops: tuple[str, ...], **context: Any) -> Example:
    return Example(PROVIDER, template, main, stops, {"site": "id.example.com", **context})


def _login(problem: LoginProblem | None, **changes: Any) -> Example:
    context: dict[str, Any] = {
        "action": "/login",
        "hidden": FIELDS,
        "username": "alice",
        "client_name": "Directory",
        "about": NOTHING_SAID,
        "problem": problem,
        "retry_after_seconds": None,
    }
    links = LINKS if "about" in changes else ()
    stops = ("username", "password", "login", *links)
    return _provider("login.html", "page-login", stops, **{**context, **changes})


def _otp(problem: FactorProblem | None, **changes: Any) -> Example:
    context: dict[str, Any] = {
        "action": "/login/otp",
        "hidden": FIELDS,
        "client_name": "Directory",
        "user_name": "alice",
        "problem": problem,
        "retry_after_seconds": None,
    }
    return _provider("otp.html", "page-otp", ("otp", "verify"), **{**context, **changes})


def _enrol(problem: FactorProblem | None, *, optional: bool = False) -> Example:
    return _provider(
        "enrol.html",
        "page-enrol",
        ("otpauth", "otp", "verify", *(("skip",) if optional else ())),
        action="/login/enrol",
        hidden=FIELDS,
        client_name="Directory",
        user_name="alice",
        problem=problem,
        optional=optional,
        qr=qr_code(OTPAUTH),
        otpauth_uri=OTPAUTH,
        secret="GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
    )


def _account(expired: bool, about: About = NOTHING_SAID) -> Example:
    return _provider(
        "account.html",
        "page-account",
        ("other", "continue", *(LINKS if about.home else ())),
        action="/login/account",
        hidden=FIELDS,
        client_name="Directory",
        about=about,
        user_name="alice",
        expired=expired,
    )


def _organization(expired: bool) -> Example:
    return _provider(
        "organization.html",
        "page-organization",
        ("organization-1", "organization-2"),
        action="/login/organization",
        hidden=FIELDS,
        client_name="Directory",
        user_name="alice",
        organizations=(OrganizationLine("acme", "Acme Corporation"), OrganizationLine("globex", "Globex")),
        expired=expired,
    )


def _consent(return_host: str | None, api: str | None = None, about: About = NOTHING_SAID) -> Example:
    return _provider(
        "consent.html",
        "page-consent",
        ("scope-2", "scope-3", *(LINKS if about.home else ()), "deny", "allow"),
        action="/consent",
        hidden=FIELDS,
        client_name="Directory",
        about=about,
        user_name="alice",
        scopes=SCOPES,
        api=api,
        return_host=return_host,
    )


def _device(problem: DeviceProblem | None, **changes: Any) -> Example:
    context: dict[str, Any] = {
        "action": "/device",
        "hidden": FIELDS,
        "user_code": "WDJB-MJHT",
        "problem": problem,
        "retry_after_seconds": None,
    }
    return _provider("device.html", "page-device", ("user_code", "send"), **{**context, **changes})


def _device_confirm(user_name: str | None) -> Example:
    return _provider(
        "device_confirm.html",
        "page-device-confirm",
        ("deny", "allow"),
        action="/device/confirm",
        hidden=FIELDS,
        client_name="Directory",
        user_code="WDJB-MJHT",
        user_name=user_name,
    )


def _logout(problem: LogoutProblem | None) -> Example:
    return _provider(
        "logout.html",
        "page-logout",
        ("logout",),
        action="/end_session/confirm",
        hidden=FIELDS,
        user_name="alice",
        client_name="Directory",
        problem=problem,
    )


def _unknown_user(inactive: bool) -> Example:
    return _gate(
        "unknown_user.html",
        "page-unknown-user",
        ("logout",),
        user_name="mallory",
        inactive=inactive,
        action="/.oidcgate/logout",
        hidden=FIELDS,
    )


def _break_glass(problem: BreakGlassProblem | None) -> Example:
    return _gate(
        "break_glass.html",
        "page-break-glass",
        ("username", "password", "login"),
        username="alice" if problem is BreakGlassProblem.WRONG else "",
        problem=problem,
        retry_after_seconds=30 if problem is BreakGlassProblem.SLOWED else None,
        action="/.oidcgate/break-glass",
        hidden=FIELDS,
    )


_MINE = ("overview", "profile", "password", "authenticator", "sessions", "applications")
_THEN = moment(1_800_000_000)


def _mine(here: str, stops: tuple[str, ...], **context: Any) -> Example:
    """One of the account pages."""
    frame: dict[str, Any] = {
        "user_name": "alice",
        "here": here,
        "links": {page: f"/account/{page}" for page in (*_MINE, "new_authenticator")},
        "sign_out": "/end_session",
        "notice": None,
    }
    pages = tuple(f"to-{page}" for page in _MINE)
    template = {"overview": "my_account.html"}.get(here, f"my_{here}.html")
    main = f"page-my-{here.replace('_', '-')}"
    return _provider(template, main, (*pages, *stops, "sign-out"), **{**frame, **context})


def _my_profile(problem: ProfileProblem | None, **changes: Any) -> Example:
    lines = (
        ProfileLine("of-nickname", "Nickname", "text", "Al", problem, 40, False),
        ProfileLine("of-floors", "Floors", "lines", "1\n2", None, 1000, False),
        ProfileLine("of-age", "Age", "number", "42", None, 1000, False),
        ProfileLine("of-listed", "In the directory", "choice", "true", None, 1000, False),
    )
    context = {
        "action": "/account/profile",
        "hidden": {"csrf": "a token"},
        "known": (("Name", "Alice Liddell"), ("E-mail address", "alice@example.com")),
        "lines": lines,
        "expired": False,
        **changes,
    }
    fields = tuple(f"value-{number}" for number in range(1, len(context["lines"]) + 1))
    return _mine("profile", (*fields, "save") if fields else (), **context)


def _my_password(problem: PasswordProblem | None, **changes: Any) -> Example:
    context = {
        "action": "/account/password",
        "hidden": {"csrf": "a token"},
        "changeable": True,
        "fewest": 8,
        "ends_others": True,
        "problem": problem,
        "retry_after_seconds": None,
        **changes,
    }
    stops = ("password", "new_password", "new_password_again", "end_others", "change")
    return _mine("password", stops if context["changeable"] else (), **context)


def _my_authenticator(stops: tuple[str, ...], **changes: Any) -> Example:
    context = {
        "action": "/account/authenticator",
        "hidden": {"csrf": "a token"},
        "enrolled_at": _THEN,
        "offered": True,
        "removable": True,
        "expired": False,
        **changes,
    }
    return _mine("authenticator", stops, **context)


def _my_new_authenticator(problem: FactorProblem | None, *, replaces: bool = False) -> Example:
    return _mine(
        "new_authenticator",
        ("otpauth", "otp", "verify", "cancel"),
        action="/account/authenticator/new",
        hidden={"csrf": "a token"},
        waiting="sealed",
        replaces=replaces,
        problem=problem,
        qr=qr_code(OTPAUTH),
        otpauth_uri=OTPAUTH,
        secret="GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
    )


def _my_sessions(*, expired: bool = False, more: bool = False, notice: MyNotice | None = None) -> Example:
    return _mine(
        "sessions",
        ("end-1", "end-2", "everywhere"),
        action="/account/sessions",
        hidden={"csrf": "a token"},
        sessions=(
            SessionLine("sid-1", "Firefox on Linux", ("pwd", "otp"), _THEN, _THEN, this=True),
            SessionLine("sid-2", "", ("pwd",), _THEN, _THEN, this=False),
        ),
        more=more,
        expired=expired,
        notice=notice,
    )


def _my_applications(*applications: ApplicationLine, expired: bool = False) -> Example:
    return _mine(
        "applications",
        tuple(f"revoke-{number}" for number in range(1, len(applications) + 1)),
        action="/account/applications",
        hidden={"csrf": "a token"},
        applications=applications,
        expired=expired,
    )


_APPLICATIONS = (
    ApplicationLine("directory", "Directory", SCOPES, True, _THEN, 3, _THEN),
    ApplicationLine("desk", "Desk", SCOPES[:1], False, _THEN, 1, _THEN),
    ApplicationLine("old", "Old app", (), True, _THEN, 0, None),
)

EVERY_PAGE: Mapping[str, Example] = {
    "gate-unknown-user": _unknown_user(False),
    "gate-inactive-user": _unknown_user(True),
    "gate-somebody-else": _gate(
        "somebody_else.html",
        "page-somebody-else",
        ("logout",),
        user_name="alice",
        incident=INCIDENT,
        action="/.oidcgate/logout",
        hidden=FIELDS,
    ),
    **{
        f"gate-error-{kind}": _gate(
            "error.html", "page-error", ("retry",), kind=kind, incident=INCIDENT, retry_url="/"
        )
        for kind in GateError
    },
    "gate-error-bare": _gate(
        "error.html", "page-error", (), kind=GateError.FORBIDDEN, incident=None, retry_url=None
    ),
    "gate-choose": _gate(
        "choose.html",
        "page-choose",
        ("choice-1", "choice-2"),
        choices=(
            Choice("Example", "/.oidcgate/login?rd=%2F&idp=Example", last=True),
            Choice("Partner", "/.oidcgate/login?rd=%2F&idp=Partner", last=False),
        ),
    ),
    "gate-passing": _gate(
        "passing.html",
        "page-passing",
        ("continue",),
        url="https://app.example.com/.oidcgate/login?rd=%2F&fragment=",
        key="AAAAAAAAAAAAAAAAAAAAAA",
    ),
    "gate-answer": _gate(
        "answer.html",
        "page-answer",
        ("continue",),
        action="/.oidcgate/callback?again=",
        fields=(("code", "a-code"), ("state", "a-state")),
    ),
    "gate-session-ended": _gate(
        "session_ended.html", "page-session-ended", ("login",), login_url="/.oidcgate/login", kept=False
    ),
    "gate-session-ended-kept": _gate(
        "session_ended.html", "page-session-ended", ("login",), login_url="/.oidcgate/login", kept=True
    ),
    "gate-resend": _gate(
        "resend.html",
        "page-resend",
        ("send", "leave"),
        user_name="alice",
        action="/orders?of=today",
        enctype="application/x-www-form-urlencoded",
        fields=(("amount", "12"), ("note", "two\nlines")),
        path="/orders",
    ),
    "gate-unavailable": _gate(
        "unavailable.html",
        "page-unavailable",
        ("retry",),
        retry_url="/",
        retry_after_seconds=30,
        incident=INCIDENT,
        break_glass_url=None,
    ),
    "gate-unavailable-break-glass": _gate(
        "unavailable.html",
        "page-unavailable",
        ("retry", "break-glass"),
        retry_url="/",
        retry_after_seconds=30,
        incident=INCIDENT,
        break_glass_url="/.oidcgate/break-glass?rd=%2Freports",
    ),
    "gate-break-glass": _break_glass(None),
    **{f"gate-break-glass-{problem}": _break_glass(problem) for problem in BreakGlassProblem},
    "gate-unavailable-bare": _gate(
        "unavailable.html",
        "page-unavailable",
        (),
        retry_url=None,
        retry_after_seconds=None,
        incident=INCIDENT,
        break_glass_url=None,
    ),
    "gate-logout": _gate(
        "logout.html",
        "page-logout",
        ("logout", "stay"),
        user_name="alice",
        action="/.oidcgate/logout",
        hidden=FIELDS,
        cancel_url="/",
    ),
    "gate-logged-out": _gate(
        "logged_out.html", "page-logged-out", ("login",), everywhere=True, login_url="/.oidcgate/login"
    ),
    "gate-logged-out-here": _gate("logged_out.html", "page-logged-out", (), everywhere=False, login_url=None),
    **{
        f"gate-login-loop-{check}": _gate(
            "login_loop.html",
            "page-login-loop",
            ("retry",),
            check=check,
            address="https://app.example.com",
            incident=INCIDENT,
            retry_url="/",
        )
        for check in LoopCheck
    },
    "proxy-app-down": _app_down(True, "retry"),
    "proxy-app-down-form": _app_down(False),
    "provider-home": _provider(
        "home.html",
        "page-home",
        ("account", "discovery"),
        account_url="https://id.example.com/account",
        discovery_url="https://id.example.com/.well-known/openid-configuration",
    ),
    "provider-login": _login(None),
    "provider-login-first": _login(None, username=""),
    "provider-login-about": _login(None, about=ABOUT),
    **{f"provider-login-{problem}": _login(problem, retry_after_seconds=300) for problem in LoginProblem},
    "provider-account": _account(False),
    "provider-account-expired": _account(True),
    "provider-account-about": _account(False, ABOUT),
    "provider-organization": _organization(False),
    "provider-organization-expired": _organization(True),
    "provider-otp": _otp(None),
    **{f"provider-otp-{problem}": _otp(problem) for problem in FactorProblem},
    "provider-otp-wait": _otp(FactorProblem.TOO_MANY, retry_after_seconds=300),
    "provider-enrol": _enrol(None),
    "provider-enrol-offered": _enrol(None, optional=True),
    "provider-enrol-wrong": _enrol(FactorProblem.WRONG, optional=True),
    "provider-enrol-expired": _enrol(FactorProblem.EXPIRED),
    "provider-no-factor": _provider(
        "no_factor.html",
        "page-no-second-factor",
        ("back",),
        action="/login/no-second-factor",
        hidden=FIELDS,
        client_name="Directory",
        user_name="alice",
    ),
    "provider-consent": _consent("app.example.com"),
    "provider-consent-api": _consent("app.example.com", api="Orders"),
    "provider-consent-device": _consent(None),
    "provider-consent-about": _consent("app.example.com", about=ABOUT),
    "provider-device": _device(None, user_code=""),
    "provider-device-filled-in": _device(None),
    **{f"provider-device-{problem}": _device(problem) for problem in DeviceProblem},
    "provider-device-wait": _device(DeviceProblem.TOO_MANY, retry_after_seconds=60),
    "provider-device-confirm": _device_confirm(None),
    "provider-device-confirm-signed-in": _device_confirm("alice"),
    **{
        f"provider-device-{outcome}": _provider(
            "device_done.html", "page-device-done", (), client_name="Directory", outcome=outcome
        )
        for outcome in DeviceOutcome
    },
    "provider-my-account": _mine(
        "overview",
        tuple(f"open-{page}" for page in _MINE[1:]),
        sessions=2,
        applications=0,
        has_authenticator=True,
    ),
    "provider-my-account-of-one": _mine(
        "overview",
        tuple(f"open-{page}" for page in _MINE[1:]),
        sessions=1,
        applications=1,
        has_authenticator=False,
    ),
    "provider-my-profile": _my_profile(None),
    "provider-my-profile-read-only": _my_profile(None, lines=()),
    "provider-my-profile-wrong": _my_profile(ProfileProblem.LENGTH),
    "provider-my-password": _my_password(None),
    "provider-my-password-elsewhere": _my_password(None, changeable=False),
    "provider-my-password-wrong": _my_password(PasswordProblem.WRONG),
    "provider-my-password-weak": _my_password(PasswordProblem.SHORT),
    "provider-my-password-wait": _my_password(PasswordProblem.TOO_MANY, retry_after_seconds=60),
    "provider-my-authenticator": _my_authenticator(("replace", "remove")),
    "provider-my-authenticator-required": _my_authenticator(("replace",), removable=False),
    "provider-my-authenticator-none": _my_authenticator(("set-up",), enrolled_at=None),
    "provider-my-authenticator-not-offered": _my_authenticator((), enrolled_at=None, offered=False),
    "provider-my-new-authenticator": _my_new_authenticator(None),
    "provider-my-new-authenticator-again": _my_new_authenticator(None, replaces=True),
    "provider-my-new-authenticator-wrong": _my_new_authenticator(FactorProblem.WRONG),
    "provider-my-sessions": _my_sessions(),
    "provider-my-sessions-expired": _my_sessions(expired=True, more=True),
    "provider-my-sessions-done": _my_sessions(notice=MyNotice.SESSION_ENDED),
    "provider-my-applications": _my_applications(*_APPLICATIONS),
    "provider-my-applications-none": _my_applications(),
    "provider-logout": _logout(None),
    **{f"provider-logout-{problem}": _logout(problem) for problem in LogoutProblem},
    "provider-logged-out": _provider("logged_out.html", "page-logged-out", (), frames=(), everywhere=False),
    "provider-logged-out-everywhere": _provider(
        "logged_out.html", "page-logged-out", (), frames=(), everywhere=True
    ),
    "provider-logging-out": _provider(
        "logging_out.html",
        "page-logging-out",
        ("continue",),
        frames=(),
        next_url="https://app.example.com/bye",
        client_name="Directory",
        seconds=3600,
    ),
    **{
        f"provider-error-{kind}": _provider(
            "error.html", "page-error", (), kind=kind, incident=INCIDENT, retry_after_seconds=120
        )
        for kind in ProviderError
    },
    "provider-form-post": _provider(
        "form_post.html",
        "page-form-post",
        ("continue",),
        action="https://app.example.com/callback",
        fields=[("code", "SplxlOBeZQQYbYS6WxSbIA"), ("state", "af0ifjsldkj")],
        client_name="Directory",
    ),
}


def with_every_text(example: Example, change: Callable[[str], str]) -> dict[str, Any]:
    """Change every text of a page that somebody else may have written: names, values, scopes."""
    changes: dict[str, Any] = {}
    names = ("site", "user_name", "client_name", "username", "return_host", "api", "incident")
    for name, value in example.context.items():
        if name in names and value:
            changes[name] = change(value)
        elif name == "hidden":
            changes[name] = {change(key): change(text) for key, text in value.items()}
        elif name == "fields":
            changes[name] = [(change(key), change(text)) for key, text in value]
        elif name == "organizations":
            changes[name] = [OrganizationLine(change(line.org_id), change(line.name)) for line in value]
        elif name == "scopes":
            changes[name] = [
                ScopeLine(change(line.value), change(line.name), change("x"), line.optional) for line in value
            ]
    return changes
