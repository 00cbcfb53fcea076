"""Whose a userName is: pinned at the first sign-in, kept from others, given free by an operator."""

import logging
import threading
from typing import Any

import pytest

from oidcgate.directory.port import KnownUser, LookAlike
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.pins import Pin, Pins
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from tests.oidcgate.gate.parts import Store
from tests.support.lying_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    NOW,
    SCRIPT,
    SECRET,
    Clock,
    LyingProvider,
    Scene,
)

OTHER_ISSUER = "https://other.example"
TWO_PROVIDERS: dict[str, Any] = {
    "provider": None,
    "providers": [
        {"name": "One", "issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        {"name": "Two", "issuer": OTHER_ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
    ],
}


def pins_of(scene: Scene) -> Pins:
    return scene.parts.pins


def break_state(scene: Scene) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable(StoreFailure.UNREACHABLE, "the test says so")

    for verb in ("get", "swap", "put", "take", "generation"):
        setattr(scene.parts.state, verb, refuse)


@pytest.mark.row("C-12")
class TestAtTheGate:
    """Sign-ins one after another."""

    def test_the_same_person_comes_again(self) -> None:
        scene = Scene.set()
        for _ in range(2):
            assert scene.browser().sign_in().status_code == 303
        assert pins_of(scene).of("ALICE", NOW) == Pin("Alice", ISSUER, "sub-of-alice", NOW)

    @pytest.mark.row("G-15")
    @pytest.mark.parametrize("sub", ["sub-of-mallory", "SUB-OF-ALICE", "sub-of-alice "])
    @pytest.mark.parametrize("name", ["alice", "ALICE"])
    def test_another_person_under_the_same_name_is_refused(self, sub: str, name: str) -> None:
        scene = Scene.set()
        scene.browser().sign_in()
        scene.provider.claims |= {"sub": sub, "preferred_username": name}
        scene.clock.now += 60
        other = scene.browser()
        answer = other.sign_in()
        assert answer.status_code == 403
        assert 'id="page-somebody-else"' in answer.text
        assert "no-store" in answer.headers["Cache-Control"]
        assert not other.has_session()
        line = scene.audit[-1]
        assert line["incident"] in answer.text
        del line["at"], line["incident"]
        assert line == {
            "event": "login.pin_refused",
            "user_name": "Alice",
            "claimed_name": name,
            "sub": sub,
            "issuer": ISSUER,
            "pinned_sub": "sub-of-alice",
            "pinned_issuer": ISSUER,
            "pinned_at": NOW,
        }
        # Its owner is told nothing of the other's try, and comes in as before.
        del scene.provider.claims["sub"]
        assert scene.browser().sign_in().status_code == 303

    def test_a_script_is_told_in_json(self) -> None:
        scene = Scene.set()
        scene.browser().sign_in()
        scene.provider.claims["sub"] = "sub-of-mallory"
        browser = scene.browser()
        answer = browser.get(scene.provider.answer(browser.start()), SCRIPT)
        assert answer.status_code == 403
        assert answer.get_json()["error"] == "name_of_somebody_else"

    @pytest.mark.row("G-13")
    def test_two_providers_whose_users_share_a_name(self) -> None:
        """And the `sub`, too: it means nothing without its issuer."""
        clock = Clock()
        one, two = LyingProvider(clock), LyingProvider(clock, issuer=OTHER_ISSUER)
        scene = Scene.set(TWO_PROVIDERS, one, two)
        answers = []
        for name, provider in (("One", one), ("Two", two)):
            browser = scene.browser()
            away = browser.get(f"/.oidcgate/login?idp={name}&rd=/private").headers["Location"]
            answers.append(browser.get(provider.answer(away)))
        first, answer = answers
        assert first.status_code == 303
        assert answer.status_code == 403
        assert 'id="page-somebody-else"' in answer.text
        assert not browser.has_session()

    def test_a_new_owner_comes_in_once_an_operator_has_cleared_it(self) -> None:
        scene = Scene.set()
        scene.browser().sign_in()
        scene.provider.claims["sub"] = "sub-of-another"
        assert scene.browser().sign_in().status_code == 403
        cleared = pins_of(scene).clear("alice", NOW)
        assert cleared is not None
        assert scene.browser().sign_in().status_code == 303
        del scene.provider.claims["sub"]
        assert scene.browser().sign_in().status_code == 403

    def test_a_person_with_a_new_name_keeps_the_old_one_from_others(self) -> None:
        scene = Scene.set()
        scene.browser().sign_in()
        scene.directory.users["alison"] = KnownUser("Alison")
        scene.provider.claims["preferred_username"] = "alison"
        assert scene.browser().sign_in().status_code == 303
        scene.provider.claims |= {"preferred_username": "alice", "sub": "sub-of-a-newcomer"}
        assert scene.browser().sign_in().status_code == 403

    def test_the_switch_lets_anybody_with_the_name_in_and_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="oidcgate"):
            scene = Scene.set({"users": {"insecure_unpinned": True}})
        assert "users.match = 'preferred_username' names people by what a provider can change" in caplog.text
        scene.browser().sign_in()
        scene.provider.claims["sub"] = "sub-of-another"
        assert scene.browser().sign_in().status_code == 303

    def test_a_refused_person_pins_nothing(self) -> None:
        scene = Scene.set()
        scene.directory.users["alice"] = KnownUser("Alice", active=False)
        assert scene.browser().sign_in().status_code == 403
        assert list(pins_of(scene).every(NOW)) == []


@pytest.mark.row("G-15")
@pytest.mark.parametrize(
    ("users", "warned"),
    [
        ({}, False),
        ({"insecure_unpinned": True}, True),
        ({"insecure_unpinned": True, "match": "email"}, True),
        ({"insecure_unpinned": True, "match": "sub"}, False),
    ],
    ids=["pinned", "preferred_username", "email", "sub"],
)
def test_a_claim_that_can_change_without_a_pin_is_warned_of(
    users: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data = {
        "public_url": "https://app.example.com",
        "provider": {"issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        "users": {"source": "any", **users},
        "session": {"secret": SECRET},
        "state": {"store": "memory"},
    }
    with caplog.at_level(logging.WARNING, logger="oidcgate"):
        build(config_from_mapping(data))
    assert ("users.insecure_unpinned" in caplog.text) == warned


@pytest.mark.row("C-12")
def test_a_stranger_whose_name_becomes_known_has_to_sign_in_again() -> None:
    """Nobody asked whose the name is while it was nobody's."""
    scene = Scene.set({"rules": [{"path": "/open/**", "allow": "signed-in"}]})
    scene.provider.claims |= {"preferred_username": "bob", "sub": "sub-of-mallory"}
    mallory = scene.browser()
    assert mallory.sign_in("/open/x").status_code == 303
    assert list(pins_of(scene).every(NOW)) == []
    scene.directory.users = {**scene.directory.users, "bob": KnownUser("Bob")}
    scene.clock.now += 61
    assert mallory.get("/open/x").status_code == 200
    assert mallory.get("/private").status_code == 403
    scene.provider.claims["sub"] = "sub-of-bob"
    assert scene.browser().sign_in().status_code == 303
    scene.provider.claims["sub"] = "sub-of-mallory"
    again = mallory.get("/.oidcgate/login?rd=/private").headers["Location"]
    assert mallory.get(scene.provider.answer(again)).status_code == 403


@pytest.mark.row("C-12", "G-15")
@pytest.mark.parametrize("name", ["alice", "ALICE", "ａlice"])
def test_the_name_of_somebody_who_left_the_directory_is_no_stranger_s(name: str) -> None:
    """Apps know it: what its owner left there would be the next one's."""
    scene = Scene.set({"rules": [{"path": "/open/**", "allow": "signed-in"}]})
    assert scene.browser().sign_in().status_code == 303
    scene.directory.users = {}
    # It is still the name of the same person.
    assert scene.browser().sign_in("/open/x").status_code == 303
    scene.provider.claims |= {"preferred_username": name, "sub": "sub-of-mallory"}
    mallory = scene.browser()
    assert mallory.sign_in("/open/x").status_code == 403
    assert not mallory.has_session()
    assert scene.audit[-1]["event"] == "login.pin_refused"
    pins_of(scene).clear("alice", NOW)
    assert mallory.sign_in("/open/x").status_code == 303
    assert list(pins_of(scene).every(NOW)) == []


@pytest.mark.row("C-12", "G-15")
def test_a_look_alike_of_a_known_name_is_let_in_nowhere() -> None:
    scene = Scene.set({"rules": [{"path": "/open/**", "allow": "signed-in"}]})
    scene.directory.failure = LookAlike("'ａlice' looks like 'alice'")
    scene.provider.claims |= {"preferred_username": "ａlice", "sub": "sub-of-mallory"}
    mallory = scene.browser()
    assert mallory.sign_in("/open/x").status_code == 403
    assert not mallory.has_session()
    assert (scene.audit[-1]["event"], scene.audit[-1]["why"]) == ("login.user_refused", "look-alike")


@pytest.mark.row("C-12")
def test_while_the_state_store_is_down_nobody_new_gets_in_and_nobody_is_signed_out() -> None:
    scene = Scene.set()
    signed_in, newcomer = scene.browser(), scene.browser()
    signed_in.sign_in()
    assert signed_in.get("/private").status_code == 200
    away = newcomer.start()
    break_state(scene)
    answer = newcomer.get(scene.provider.answer(away))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert not newcomer.has_session()
    # As long as an unreadable state store is borne at all.
    assert signed_in.get("/private").status_code == 200
    scene.clock.now += 60
    unsure = signed_in.get("/private")
    assert unsure.status_code == 503
    assert "Set-Cookie" not in unsure.headers


@pytest.mark.row("C-12")
def test_of_many_first_sign_ins_at_once_one_gets_the_name(shared_state: RecordStore) -> None:
    state = shared_state
    pins = Pins(state)
    state.get("warm", "up", now=NOW)
    ready = threading.Barrier(8)
    said: list[Pin] = []

    def sign_in(number: int) -> None:
        ready.wait()
        said.append(pins.claim("Alice", ISSUER, f"sub-{number}", NOW))

    threads = [threading.Thread(target=sign_in, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 8
    assert len(set(said)) == 1
    assert pins.of("alice", NOW) == said[0]
    assert list(pins.every(NOW)) == [said[0]]
    assert pins.clear("ALICE", NOW + 100 * 366 * 86_400) == said[0]
    assert list(pins.every(NOW)) == []


class TestPins:
    """What holds for the pins by themselves."""

    def test_a_pin_does_not_go_by_itself(self) -> None:
        pins = Pins(MemoryStore(clock=lambda: NOW))
        pins.claim("Alice", ISSUER, "a", NOW)
        century = NOW + 100 * 366 * 86_400
        assert pins.claim("alice", ISSUER, "b", century) == Pin("Alice", ISSUER, "a", NOW)

    def test_every_pin_is_listed_over_any_number_of_pages(self) -> None:
        pins = Pins(MemoryStore(clock=lambda: NOW))
        for number in range(2001):
            pins.claim(f"user{number:05}", ISSUER, str(number), NOW)
        assert [pin.sub for pin in pins.every(NOW)] == [str(number) for number in range(2001)]

    def test_a_name_that_is_written_and_cleared_all_the_time_is_said_to_be_unavailable(self) -> None:
        store = Store()
        store.swap = lambda *_, **__: False  # type: ignore[method-assign]  # somebody is always faster
        with pytest.raises(StoreUnavailable):
            Pins(store).claim("alice", ISSUER, "a", NOW)

    def test_clearing_what_is_not_there(self) -> None:
        assert Pins(MemoryStore(clock=lambda: NOW)).clear("alice", NOW) is None

    def test_a_look_costs_one_call_once_the_name_is_pinned(self) -> None:
        store = Store()
        pins = Pins(store)
        pins.claim("alice", ISSUER, "a", NOW)
        store.calls.clear()
        pins.claim("alice", ISSUER, "a", NOW)
        assert store.calls == ["get"]
