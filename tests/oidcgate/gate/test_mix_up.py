"""A provider that lies has another one's answer come back to an attempt at itself, to be handed the code.

Spec: RFC 9207 1; RFC 9700 4.4.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.registration import registrations
from oidcgate.settings import SettingsError
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    GONE,
    Browser,
    Clock,
    LyingProvider,
    Scene,
)

HONEST, EVIL = "https://id.example", "https://evil.example"
CALLBACK = f"{APP}/.oidcgate/callback"


def scene_of(honest: dict[str, Any], evil: dict[str, Any]) -> tuple[Scene, LyingProvider, LyingProvider]:
    """Two providers, neither of which promises `iss`."""
    clock = Clock()
    first, second = LyingProvider(clock, issuer=HONEST), LyingProvider(clock, issuer=EVIL)
    for one in (first, second):
        one.metadata["authorization_response_iss_parameter_supported"] = False
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    entries = [
        {"name": "Honest", "issuer": HONEST, **client, **honest},
        {"name": "Evil", "issuer": EVIL, **client, **evil},
    ]
    return Scene.set({"provider": GONE, "providers": entries}, first, second), first, second


def begun(browser: Browser, name: str) -> str:
    return browser.get(f"/.oidcgate/login?rd=/&idp={name}").headers["Location"]


def stolen(scene: Scene, first: LyingProvider) -> tuple[Browser, str]:
    """A browser with an attempt at the evil one, and an answer of the honest one with its state."""
    victim = scene.browser()
    state = dict(parse_qsl(urlsplit(begun(victim, "Evil")).query))["state"]
    answer = urlsplit(first.answer(begun(scene.browser(), "Honest"), iss=GONE))
    query = urlencode({**dict(parse_qsl(answer.query)), "state": state})
    return victim, answer._replace(query=query).geturl()


OWN = {"callback": "evil"}


@pytest.mark.row("G-13")
@pytest.mark.parametrize(
    ("honest", "evil", "reason"),
    [
        pytest.param({}, {}, "iss_missing", id="shared"),
        pytest.param({}, OWN, "redirect_uri", id="the evil one has its own"),
        pytest.param({"callback": "honest"}, {}, "redirect_uri", id="the honest one has its own"),
        pytest.param({"callback": "both"}, {"callback": "both"}, "iss_missing", id="one for both"),
    ],
)
def test_the_code_goes_nowhere(honest: dict[str, Any], evil: dict[str, Any], reason: str) -> None:
    scene, first, second = scene_of(honest, evil)
    victim, answer = stolen(scene, first)
    assert victim.get(answer).status_code == 400
    assert scene.reasons() == [reason]
    assert second.calls("/token") == first.calls("/token") == 0
    assert not victim.has_session()


def test_who_has_a_callback_of_its_own_need_not_say_who_it_is() -> None:
    scene, first, second = scene_of({}, OWN)
    for provider, name, path in ((first, "Honest", ""), (second, "Evil", "/evil")):
        browser = scene.browser()
        answer = provider.answer(begun(browser, name), iss=GONE)
        assert answer.partition("?")[0] == CALLBACK + path
        assert browser.get(answer).status_code != 400
        assert provider.calls("/token") == 1
    # The name is the honest one's by then: whoever has it at the other is somebody else.
    assert scene.reasons() == []


def test_who_shares_one_comes_in_by_saying_who_it_is() -> None:
    scene, first, _ = scene_of({}, {})
    browser = scene.browser()
    assert browser.get(first.answer(begun(browser, "Honest"), iss=GONE)).status_code == 400
    assert scene.reasons() == ["iss_missing"]
    assert browser.get(first.answer(begun(browser, "Honest"), iss=HONEST)).status_code == 303


def test_a_posted_answer_is_posted_again_to_where_it_came() -> None:
    scene, _, _ = scene_of({}, {**OWN, "response_mode": "form_post"})
    page = scene.browser().post(f"{CALLBACK}/evil", {"state": "s", "code": "c"}, {})
    assert (page.status_code, 'action="/.oidcgate/callback/evil?again="' in page.text) == (200, True)


def test_so_is_one_that_comes_to_an_address_of_nobodys_and_once_only() -> None:
    scene, _, _ = scene_of({}, OWN)
    page = scene.browser().post(f"{CALLBACK}/x%3Fy%23z", {"state": "s", "code": "c"}, {})
    assert 'action="/.oidcgate/callback/x%3Fy%23z?again="' in page.text
    again = scene.browser().post(f"{CALLBACK}/x%3Fy%23z?again=", {"state": "s", "code": "c"})
    assert "again=" not in again.text


def test_each_is_told_the_redirect_uri_that_is_its_own() -> None:
    scene, _, _ = scene_of({}, OWN)
    told = {entry.issuer: entry.redirect_uris for entry in registrations(scene.parts.config)}
    assert told == {HONEST: (CALLBACK,), EVIL: (f"{CALLBACK}/evil",)}


@pytest.mark.parametrize("value", ["", "a/b", "A", "a b", "é", "a" * 101, "a?b", "%61", ".."])
def test_the_end_of_a_path_is_a_plain_word(value: str) -> None:
    with pytest.raises(SettingsError, match="callback"):
        config_from_mapping(
            {
                "public_url": APP,
                "provider": {"issuer": HONEST, "client_id": "a", "client_secret": "b", "callback": value},
                "users": {"source": "any"},
                "session": {"secret": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"},
            }
        )
