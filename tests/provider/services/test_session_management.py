"""The cookies for frames where no whole sign-in leads: over http, and when they do not fit together."""

import hashlib
from dataclasses import replace

import pytest

from oidcgate.protocol.session_management import build_session_state
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
STATE = hashlib.sha256(b"oidcprovider state sid-1").hexdigest()


def header(realm: Realm, **values: str) -> str:
    names = cookie_names(realm)
    return "; ".join(f"{getattr(names, name)}={value}" for name, value in values.items())


def names_set(realm: Realm, cookies: tuple[str, ...]) -> list[str]:
    names = {value: name for name, value in vars(cookie_names(realm)).items()}
    return [names[cookie.partition("=")[0]] for cookie in cookies]


def value_of(cookie: str) -> str:
    return cookie.partition("=")[2].partition(";")[0]


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
    assert [value_of(cookie) for cookie in cookies] == [new, STATE, silent_token(new)]


@pytest.mark.row("S-18")
@pytest.mark.parametrize(
    ("came", "session", "silent", "expected"),
    [
        pytest.param(("session",), SESSION, False, ["state", "silent"], id="signed-in"),
        pytest.param(("silent", "state"), SESSION, True, ["state"], id="by-the-silent-cookie"),
        pytest.param(("silent", "state"), None, True, ["state", "silent"], id="silent-and-over"),
        pytest.param(("silent", "state"), None, False, [], id="not-to-be-seen"),
        pytest.param(("silent", "state", "browser"), None, False, ["state", "silent"], id="signed-out"),
        pytest.param((), None, True, [], id="silent-and-nothing-came"),
        pytest.param(("browser",), None, True, ["state"], id="silent-and-nobody-there"),
    ],
)
def test_which_cookies_an_answer_sets(
    came: tuple[str, ...], session: BrowserSession | None, silent: bool, expected: list[str]
) -> None:
    told = tell(
        SECURE, TARGET, header(SECURE, **{name: new_token() for name in came}), session, silent=silent
    )
    assert names_set(SECURE, told.cookies) == expected
    removed = [cookie for cookie in told.cookies if "Max-Age=0" in cookie]
    assert names_set(SECURE, tuple(removed)) == (
        ["silent"] if session is None and "silent" in expected else []
    )


@pytest.mark.row("S-18")
@pytest.mark.parametrize(
    ("came", "session", "expected"),
    [
        pytest.param(("session", "browser"), SESSION, [], id="has-none"),
        pytest.param(("session", "state"), SESSION, ["state", "silent"], id="has-another"),
        pytest.param(("silent", "state"), None, [], id="not-to-be-seen"),
        pytest.param(("silent", "state", "browser"), None, ["state", "silent"], id="signed-out"),
    ],
)
def test_which_cookies_an_answer_to_another_client_sets(
    came: tuple[str, ...], session: BrowserSession | None, expected: list[str]
) -> None:
    plain = replace(CLIENT, session_management=False)
    target = validate_target(plain, TARGET.redirect_uri, response_type="code", response_mode=None, state=None)
    told = tell(SECURE, target, header(SECURE, **{name: new_token() for name in came}), session, silent=False)
    assert told.parameters == {}
    assert names_set(SECURE, told.cookies) == expected
    if session is not None and expected:
        assert value_of(told.cookies[0]) == STATE


@pytest.mark.row("S-18")
@pytest.mark.parametrize("session", [SESSION, None], ids=["signed-in", "signed-out"])
def test_what_a_client_is_given_fits_the_state_that_the_browser_is_given(
    session: BrowserSession | None,
) -> None:
    told = tell(SECURE, TARGET, header(SECURE, browser=new_token()), session, silent=True)
    state = value_of(told.cookies[0])
    _, _, salt = told.parameters["session_state"].partition(".")
    assert len(salt) == 22, "128 bits"
    expected = build_session_state("spa", "http://localhost:8000", state, salt)
    assert told.parameters == {"session_state": expected}
    assert (state == STATE) is (session is not None)


@pytest.mark.row("S-18")
def test_the_state_of_nobody_stays_as_it_is() -> None:
    told = tell(SECURE, TARGET, header(SECURE, browser=new_token()), None, silent=True)
    state = value_of(told.cookies[0])
    assert state.startswith("out-")
    assert len(state) == len("out-") + 43
    again = tell(SECURE, TARGET, header(SECURE, state=state), None, silent=True)
    assert again.cookies == ()


@pytest.mark.row("S-18")
def test_each_cookie_is_written_and_removed_with_these_attributes() -> None:
    names, token = cookie_names(SECURE), new_token()
    told = tell(SECURE, TARGET, header(SECURE, session=token), SESSION, silent=False)
    assert told.cookies == (
        f"{names.state}={STATE}; Path=/; Secure; SameSite=None",
        f"{names.silent}={silent_token(token)}; Path=/; HttpOnly; Secure; SameSite=None",
    )
    had = header(SECURE, state=STATE, silent=silent_token(token))
    _, _, removed = signed_out_cookies(SECURE, had, SESSION)
    assert removed == f"{names.silent}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None"
    had = header(SECURE, session=token, state=STATE, silent=silent_token(token))
    assert tell(SECURE, TARGET, had, SESSION, silent=False).cookies == ()


@pytest.mark.row("S-18", "P-30")
@pytest.mark.parametrize(
    ("came", "ended", "changed"),
    [
        pytest.param(("state", "silent"), SESSION, True, id="ended"),
        pytest.param(("state", "silent"), None, False, id="not-to-be-seen"),
        pytest.param(("state", "silent", "browser"), None, True, id="nobody-there"),
    ],
)
def test_a_sign_out_without_our_other_cookies_changes_no_state(
    came: tuple[str, ...], ended: BrowserSession | None, changed: bool
) -> None:
    had = header(SECURE, **{name: new_token() for name in came})
    expected = ["session", "state", "silent"] if changed else ["session"]
    assert names_set(SECURE, signed_out_cookies(SECURE, had, ended)) == expected
