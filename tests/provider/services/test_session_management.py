"""The cookies for frames where no whole sign-in leads: over http, and when they do not fit together."""

from dataclasses import replace

import pytest

from oidcgate.web.cookies import cookie_value
from provider.config import RealmSettings
from provider.realm import Realm
from provider.services.browser_session import cookie_names, silent_token
from provider.services.opaque import new_token
from provider.services.responses import validate_target
from provider.services.session_management import follow, signed_in_cookies, signed_out_cookies, tell
from provider.store.clients import Client
from provider.store.sessions import BrowserSession

SECURE = Realm("default", "https://id.example", "", RealmSettings())
LOCAL = replace(SECURE, issuer="http://localhost:9000")
CLIENT = Client(
    client_id="spa",
    name="SPA",
    enabled=True,
    auth_method="none",
    redirect_uris=("http://localhost:8000/cb",),
    post_logout_redirect_uris=(),
    flows=("authorization_code",),
    scopes=("openid",),
    trusted=False,
    created_at=0,
    session_management=True,
)
TARGET = validate_target(
    CLIENT, "http://localhost:8000/cb", response_type="code", response_mode=None, state=None
)
SESSION = BrowserSession("h" * 64, "sid-1", "alice", 0, "", (), 0, 0, 9)


def header(realm: Realm, **values: str) -> str:
    names = cookie_names(realm)
    return "; ".join(f"{getattr(names, name)}={value}" for name, value in values.items())


def names_set(realm: Realm, cookies: tuple[str, ...]) -> list[str]:
    names = {value: name for name, value in vars(cookie_names(realm)).items()}
    return [names[cookie.partition("=")[0]] for cookie in cookies]


@pytest.mark.row("S-18")
def test_over_http_on_one_machine_the_state_is_enough() -> None:
    """Its ports are one site, so the session cookie itself comes with requests of frames."""
    token = new_token()
    told = tell(LOCAL, TARGET, header(LOCAL, session=token), SESSION, silent=False)
    assert names_set(LOCAL, told.cookies) == ["state"]
    assert told.cookies[0].endswith("; Path=/; SameSite=Lax")
    assert "session_state" in told.parameters
    had = header(LOCAL, session=token, state="x", silent="y", browser=new_token())
    assert names_set(LOCAL, signed_in_cookies(LOCAL, had, SESSION, token)) == ["session", "state"]
    assert names_set(LOCAL, signed_out_cookies(LOCAL, had, SESSION)) == ["session", "state"]


@pytest.mark.row("S-18")
def test_a_browser_that_has_neither_cookie_gets_none_by_signing_in_or_out() -> None:
    had = header(SECURE, session=new_token(), browser=new_token())
    assert names_set(SECURE, signed_in_cookies(SECURE, had, SESSION, new_token())) == ["session"]
    assert names_set(SECURE, signed_out_cookies(SECURE, had, SESSION)) == ["session"]
    assert follow(SECURE, had, SESSION) == ()


@pytest.mark.row("S-18")
def test_the_silent_cookie_belongs_to_the_session_cookie_of_the_answer() -> None:
    old, new = new_token(), new_token()
    had = header(SECURE, session=old, silent=silent_token(old), state="x")
    cookies = signed_in_cookies(SECURE, had, SESSION, new)
    assert names_set(SECURE, cookies) == ["session", "state", "silent"]
    assert cookie_value(cookies[2].partition(";")[0], cookie_names(SECURE).silent) == silent_token(new)


@pytest.mark.row("S-18")
@pytest.mark.parametrize(
    ("came", "session", "silent", "expected"),
    [
        pytest.param(("session",), SESSION, False, ["state", "silent"], id="signed-in"),
        pytest.param(("silent", "state"), SESSION, True, ["state"], id="by-the-silent-cookie"),
        pytest.param(("silent", "state"), None, True, ["state", "silent"], id="silent-and-over"),
        pytest.param(("silent", "state"), None, False, [], id="not-to-be-seen"),
        pytest.param(("silent", "state", "browser"), None, False, ["state", "silent"], id="signed-out"),
        pytest.param((), None, True, ["state"], id="nothing-came"),
    ],
)
def test_which_cookies_an_answer_sets(
    came: tuple[str, ...], session: BrowserSession | None, silent: bool, expected: list[str]
) -> None:
    target = validate_target(
        CLIENT, TARGET.redirect_uri, response_type="code", response_mode=None, state=None
    )
    cookies = header(SECURE, **{name: new_token() for name in came})
    told = tell(SECURE, target, cookies, session, silent=silent)
    assert names_set(SECURE, told.cookies) == expected
    removed = [cookie for cookie in told.cookies if "Max-Age=0" in cookie]
    assert names_set(SECURE, tuple(removed)) == (
        ["silent"] if session is None and "silent" in expected else []
    )
