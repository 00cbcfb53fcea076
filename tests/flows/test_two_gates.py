"""Two apps in one process, each with a directory and an identity provider of its own."""

from pathlib import Path
from typing import Any

import pytest

from oidcgate.net.wsgi import WSGIAdapter
from provider import Provider
from tests.flows.test_sign_in import sign_in
from tests.support.sites import (
    APP,
    CLIENT_SECRET,
    ISSUER,
    App,
    Clock,
    make_gate,
    make_provider,
)
from tests.support.user_agent import UserAgent

HOUSE, HOUSE_ISSUER = "https://house.test", "https://id.house.example"


class Two:
    """The app of the other tests, whose directory knows Alice, and a house, whose directory knows Bob."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.events = Clock(), list[str]()
        self.app, self.house = App(), App()
        (folder / "house").mkdir()
        house_users = folder / "house" / "people.csv"
        house_users.write_text("userName,displayName\nBob,Bob of the house\n")
        self.providers: dict[str, Provider] = {
            ISSUER: make_provider(folder, self.clock, self.events),
            HOUSE_ISSUER: make_provider(
                folder / "house",
                self.clock,
                self.events,
                issuer=HOUSE_ISSUER,
                clients=[
                    {
                        "client_id": "gate",
                        "name": "The house",
                        "client_secret": CLIENT_SECRET,
                        "redirect_uris": [f"{HOUSE}/.oidcgate/callback"],
                    }
                ],
            ),
        }
        self.gates = {
            APP: make_gate(self.app, self.providers[ISSUER], folder, self.clock, self.events),
            HOUSE: make_gate(
                self.house,
                self.providers[HOUSE_ISSUER],
                folder / "house",
                self.clock,
                self.events,
                public_url=HOUSE,
                provider={"issuer": HOUSE_ISSUER},
                users={"source": f"file:{house_users}"},
            ),
        }

    def user_agent(self) -> UserAgent:
        sites: dict[str, Any] = {**self.gates, **self.providers}
        return UserAgent({origin: WSGIAdapter(site) for origin, site in sites.items()})


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


@pytest.mark.row("F-03")
def test_each_app_has_its_own_directory_and_identity_provider(two: Two) -> None:
    alice, bob = two.user_agent(), two.user_agent()
    page = sign_in(alice, f"{APP}/", "alice")
    assert page.response.json()["user_name"] == "Alice"
    page = sign_in(bob, f"{HOUSE}/", "bob")
    assert page.response.json()["user_name"] == "Bob"

    # Signed in at one is not signed in at the other, whose provider asks by itself and whose directory
    # decides.
    page = sign_in(alice, f"{HOUSE}/", "alice")
    assert (page.status, page.main_id) == (403, "page-unknown-user")
    page = sign_in(bob, f"{APP}/", "bob")
    assert (page.status, page.main_id) == (403, "page-unknown-user")
    assert (len(two.app.calls), len(two.house.calls)) == (1, 1)


@pytest.mark.row("F-03")
def test_a_session_of_one_is_nothing_to_the_other(two: Two) -> None:
    agent = two.user_agent()
    sign_in(agent, f"{APP}/", "alice")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in agent.session.cookies)
    assert "__Host-oidcgate-" in cookies

    stranger = two.user_agent()
    answer = stranger.session.get(f"{HOUSE}/", headers={"Cookie": cookies}, allow_redirects=False)
    assert answer.status_code in (302, 401)
    assert two.house.calls == []
