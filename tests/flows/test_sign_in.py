"""A whole sign-in: browser, gate, app and provider, each the real one, in one process."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.sites import APP, ISSUER, PASSWORDS, Sites, make_sites
from tests.support.user_agent import Page, UserAgent


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return make_sites(tmp_path)


def sign_in(agent: UserAgent, url: str, name: str = "alice") -> Page:
    """Open ``url`` and sign in where that leads."""
    page = agent.open(url)
    assert page.main_id == "page-login", page.text
    return agent.sign_in(page, name, PASSWORDS[name])


@pytest.mark.row("F-01", "F-07", "E-01", "A-08", "A-09", "T-04", "S-23")
def test_alice_is_told_apart_from_her_sub_and_her_claim(sites: Sites) -> None:
    page = sign_in(sites.user_agent(), f"{APP}/deep/link?a=1&b=%2F")

    told = page.response.json()
    assert told["user_name"] == "Alice"
    assert told["remote_user"] == "Alice"
    assert told["claims"]["preferred_username"] == "alice"
    assert told["sub"] not in ("Alice", "alice")
    assert (told["path"], told["query"]) == ("/deep/link", "a=1&b=%2F")
    assert told["cookie"] is None, "the gate's cookies stay at the gate"


@pytest.mark.row("F-08")
@pytest.mark.parametrize("path", ["/", "/deep/link"])
def test_mallory_signs_in_and_still_does_not_reach_the_app(sites: Sites, path: str) -> None:
    agent = sites.user_agent()
    page = sign_in(agent, APP + path, "mallory")

    assert page.status == 403
    assert page.main_id == "page-unknown-user"
    assert "mallory" in page.text
    assert sites.app.calls == []
    assert not [cookie for cookie in agent.session.cookies if cookie.name.startswith("__Host-oidcgate-")]
    assert any('"mallory"' in line for line in sites.events), "the log says which name it was"


@pytest.mark.row("F-02", "F-11", "F-12", "F-15", "F-17", "A-07")
def test_the_authorization_request_says_what_it_must_and_no_more(sites: Sites) -> None:
    agent = sites.user_agent()
    to_login = agent.step(f"{APP}/?login_hint=victim")
    request = urlsplit(agent.step(to_login.headers["Location"] + "&fragment=").headers["Location"])

    assert f"{request.scheme}://{request.netloc}{request.path}" == f"{ISSUER}/authorize"
    pairs = parse_qsl(request.query, strict_parsing=True)
    values = dict(pairs)
    assert len(values) == len(pairs), "nothing is said twice"
    assert values["response_type"] == "code"
    assert values["client_id"] == "gate"
    assert values["scope"] == "openid profile email"
    assert values["redirect_uri"] == f"{APP}/.oidcgate/callback"
    assert values["code_challenge_method"] == "S256"
    assert len(values["state"]) >= 22
    assert len(values["nonce"]) >= 22
    assert "login_hint" not in values


@pytest.mark.row("F-17")
@pytest.mark.parametrize("separator", ["%20", "+"])
def test_the_provider_takes_scopes_separated_either_way(sites: Sites, separator: str) -> None:
    agent = sites.user_agent()
    location = agent.step(agent.step(f"{APP}/").headers["Location"] + "&fragment=").headers["Location"]
    page = agent.open(
        location.replace("openid+profile", f"openid{separator}profile").replace("%20", separator)
    )
    page = agent.sign_in(page, "alice", PASSWORDS["alice"])

    assert page.response.json()["user_name"] == "Alice"


@pytest.mark.row("T-03")
def test_a_session_outlives_the_provider_until_its_time_is_up(sites: Sites) -> None:
    agent = sites.user_agent()
    sign_in(agent, f"{APP}/")
    sites.provider_is_up = False

    sites.clock.now += 7 * 3600
    assert agent.open(f"{APP}/again").response.json()["user_name"] == "Alice"
    sites.clock.now += 5 * 3600
    assert agent.step(f"{APP}/again").status_code == 302


@pytest.mark.row("G-17")
def test_a_provider_that_is_down_keeps_nobody_from_public_pages_and_lets_nobody_in(sites: Sites) -> None:
    sites.provider_is_up = False
    agent = sites.user_agent()

    assert agent.open(f"{APP}/public/page").response.json()["path"] == "/public/page"
    page = agent.open(f"{APP}/private")
    assert page.status == 503
    assert int(page.response.headers["Retry-After"]) > 0
    assert [call["PATH_INFO"] for call in sites.app.calls] == ["/public/page"]

    sites.provider_is_up = True
    sites.clock.now += 60
    assert sign_in(agent, f"{APP}/private").response.json()["user_name"] == "Alice"


@pytest.mark.row("T-03", "F-06", "S-19")
def test_signing_out_ends_the_session_here_and_there(sites: Sites) -> None:
    agent = sites.user_agent()
    sign_in(agent, f"{APP}/")
    kept = [cookie for cookie in agent.session.cookies if cookie.name.startswith("__Host-oidcgate-")]

    page = agent.press(agent.open(f"{APP}/.oidcgate/logout"), "logout")

    assert page.main_id == "page-logged-out"
    assert page.url.startswith(APP)
    for cookie in kept:
        agent.session.cookies.set_cookie(cookie)
    calls = len(sites.app.calls)
    assert agent.open(f"{APP}/").main_id == "page-login", (
        "neither the old cookie nor the provider's session works"
    )
    assert len(sites.app.calls) == calls


@pytest.mark.row("T-03", "G-23")
def test_each_sign_in_makes_a_new_session(sites: Sites) -> None:
    agent = sites.user_agent()
    sign_in(agent, f"{APP}/")
    first = {cookie.name: cookie.value for cookie in agent.session.cookies}
    agent.press(agent.open(f"{APP}/.oidcgate/logout"), "logout")
    sign_in(agent, f"{APP}/")
    second = {cookie.name: cookie.value for cookie in agent.session.cookies}

    # The provider's `browser` cookie names the browser, not anybody signed in.
    sessions = [
        n for n in first.keys() & second.keys() if n.startswith("__Host-oidc") and "-browser-" not in n
    ]
    assert len([name for name in sessions if name.startswith("__Host-oidcgate")]) == 1
    for name in sessions:
        assert first[name] != second[name], name


@pytest.mark.row("G-12")
def test_signing_in_and_out_again_and_again_is_no_loop(sites: Sites) -> None:
    agent = sites.user_agent()
    for _ in range(5):
        assert sign_in(agent, f"{APP}/").status == 200
        agent.press(agent.open(f"{APP}/.oidcgate/logout"), "logout")


@pytest.mark.row("G-09")
def test_a_script_is_told_where_to_sign_in(sites: Sites) -> None:
    agent = sites.user_agent()
    response = agent.session.get(
        f"{APP}/api",
        headers={"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        allow_redirects=False,
    )

    assert response.status_code == 401
    assert response.json()["login_url"] == f"{APP}/.oidcgate/login"
    assert sites.app.calls == []


@pytest.mark.row("G-01")
def test_tabs_that_began_together_all_arrive(sites: Sites) -> None:
    agent = sites.user_agent()
    tabs = [agent.open(f"{APP}/tab/{number}") for number in range(5)]

    first, *others = tabs
    assert agent.sign_in(first, "alice", PASSWORDS["alice"]).response.json()["path"] == "/tab/0"
    for number, tab in enumerate(others, start=1):
        page = agent.press(tab, "login", {"username": "alice", "password": PASSWORDS["alice"]})
        assert page.response.json()["path"] == f"/tab/{number}"


@pytest.mark.row("G-15")
def test_a_switched_off_user_is_kept_out(sites: Sites, tmp_path: Path) -> None:
    agent = sites.user_agent()
    sign_in(agent, f"{APP}/")
    users = tmp_path / "users.toml"
    users.write_text('[[users]]\nuserName = "Alice"\nactive = false\n')
    calls = len(sites.app.calls)
    sites.clock.now += 61

    assert agent.open(f"{APP}/").status == 403
    assert len(sites.app.calls) == calls
