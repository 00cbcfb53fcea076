"""Kept tokens renewed at our provider: browser, gate, app and provider, each the real one, in one process."""

from pathlib import Path
from typing import Any

import pytest

from provider.store.grants import revoke_grant
from provider.store.schema import metadata
from tests.support.sites import APP, CLIENT_SECRET, ISSUER, PASSWORDS, Sites, make_sites
from tests.support.user_agent import Page, UserAgent

CLIENT = {
    "client_id": "gate",
    "client_secret": CLIENT_SECRET,
    "redirect_uris": [f"{APP}/.oidcgate/callback"],
    "post_logout_redirect_uris": [f"{APP}/.oidcgate/logged-out"],
    "flows": ["authorization_code", "refresh_token"],
    "trusted": True,
}


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return make_sites(
        tmp_path,
        {"clients": [CLIENT], "lifetimes": {"access_token_hours": 0.25, "refresh_grace_seconds": 0}},
        provider={"scopes": ["openid", "profile", "email", "offline_access"]},
        session={"keep_tokens": True},
        forward={"access_token": True},
    )


@pytest.fixture
def agent(sites: Sites) -> UserAgent:
    agent = sites.user_agent()
    page = agent.open(f"{APP}/")
    assert page.main_id == "page-login", page.text
    assert reached(agent.sign_in(page, "alice", PASSWORDS["alice"]))
    return agent


def reached(page: Page) -> bool:
    return page.status == 200 and page.main_id is None and page.response.json()["user_name"] == "Alice"


def rows(sites: Sites, table: str) -> list[dict[str, Any]]:
    with sites.provider.parts.store.read() as conn:
        return [dict(row) for row in conn.execute(metadata.tables[table].select()).mappings()]


def used(sites: Sites) -> int:
    return sum(row["consumed_at"] is not None for row in rows(sites, "refresh_tokens"))


@pytest.mark.row("G-04", "T-03", "S-03")
def test_a_session_is_confirmed_whenever_its_access_token_ends(sites: Sites, agent: UserAgent) -> None:
    given = []
    for times in range(1, 6):
        sites.clock.now += 900
        assert reached(agent.open(f"{APP}/again"))
        assert reached(agent.open(f"{APP}/again"))
        assert used(sites) == times
        given.append(sites.app.calls[-1]["oidcgate.access_token"])
    assert len(set(given)) == 5
    assert [row["revoked_at"] for row in rows(sites, "grants")] == [None]


@pytest.mark.row("G-04")
def test_what_the_provider_revokes_ends_at_the_gate(sites: Sites, agent: UserAgent) -> None:
    (grant,) = rows(sites, "grants")
    with sites.provider.parts.store.begin() as conn:
        revoke_grant(conn, grant["realm_id"], grant["grant_id"], int(sites.clock.now), "test")
    assert reached(agent.open(f"{APP}/again"))
    sites.clock.now += 900
    to_login = agent.step(f"{APP}/again")
    assert (to_login.status_code, "prompt" in to_login.headers["Location"]) == (302, False)
    assert "session.ended_at_provider" in sites.event_names()


@pytest.mark.row("G-04", "G-17")
def test_an_outage_at_the_wrong_moment_costs_one_silent_sign_in(sites: Sites, agent: UserAgent) -> None:
    sites.clock.now += 880
    sites.provider_is_up = False
    assert reached(agent.open(f"{APP}/again"))
    sites.provider_is_up = True
    assert reached(agent.open(f"{APP}/again"))
    assert "tokens.not_renewed" in sites.event_names()
    sites.clock.now += 30
    # Through the provider and back, without a page that asks for anything.
    assert reached(agent.open(f"{APP}/again?a=1"))
    assert sites.app.calls[-1]["QUERY_STRING"] == "a=1"
    assert sites.event_names().count("login.succeeded") == 2
    assert used(sites) == 0
    sites.clock.now += 900
    assert reached(agent.open(f"{APP}/again"))
    assert used(sites) == 1


@pytest.mark.row("G-04")
def test_whom_the_provider_does_not_know_any_more_signs_in(sites: Sites, agent: UserAgent) -> None:
    sites.clock.now += 880
    sites.provider_is_up = False
    assert reached(agent.open(f"{APP}/again"))
    sites.provider_is_up = True
    sites.clock.now += 30
    for cookie in list(agent.session.cookies):
        if cookie.domain.startswith(ISSUER.removeprefix("https://")):
            agent.session.cookies.clear(cookie.domain, cookie.path, cookie.name)
    page = agent.open(f"{APP}/again")
    assert page.main_id == "page-login"
    assert reached(agent.sign_in(page, "alice", PASSWORDS["alice"]))


@pytest.mark.row("G-04", "F-06")
def test_signing_out_takes_the_tokens_along(sites: Sites, agent: UserAgent) -> None:
    agent.press(agent.open(f"{APP}/.oidcgate/logout"), "logout")
    with sites.gate.parts.state._connection(writes=False) as connection:
        kinds = {row[0] for row in connection.exec_driver_sql("select kind from oidcgate_records")}
    assert "tokens" not in kinds
    sites.clock.now += 900
    assert agent.open(f"{APP}/").main_id == "page-login"
    assert used(sites) == 0
