"""Several identity providers behind one gate: who chooses, what a rule and another site may say, and that no
provider speaks for another.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import pytest

from oidcgate.directory.port import KnownUser
from oidcgate.gate.config import config_from_mapping
from oidcgate.settings import SettingsError
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    GONE,
    NAVIGATION,
    SCRIPT,
    Browser,
    Clock,
    LyingProvider,
    Scene,
)

OTHER = "https://other.example"
REDIRECTS = [
    line
    for line in (Path(__file__).parents[2] / "data" / "redirects.txt").read_text("utf-8").split("\n")
    if line and not line.startswith("#")
]
RULES = [
    {"path": "/partner/**", "allow": "known", "provider": "Other"},
    {"path": "/staff/**", "allow": "known", "provider": "Example"},
]


def scene_of_two(**settings: Any) -> tuple[Scene, LyingProvider, LyingProvider]:
    clock = Clock()
    first, second = LyingProvider(clock), LyingProvider(clock, issuer=OTHER)
    entries = [
        {"name": name, "issuer": one.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        for name, one in (("Example", first), ("Other", second))
    ]
    scene = Scene.set({"provider": GONE, "providers": entries, **settings}, first, second)
    # A name is one person's at one provider: the other one speaks of somebody else.
    second.claims["preferred_username"] = "bob"
    scene.directory.users["bob"] = KnownUser("Bob")
    return scene, first, second


def host_of(location: str) -> str:
    return urlsplit(location).netloc


def asked_in(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def signed_in_at(browser: Browser, provider: LyingProvider, name: str, path: str = "/") -> None:
    location = browser.get(f"/.oidcgate/login?{urlencode({'rd': path, 'idp': name})}").headers["Location"]
    assert browser.get(provider.answer(location)).status_code == 303


class TestTheChooser:
    @pytest.mark.row("A-03")
    def test_it_names_every_provider(self) -> None:
        scene, _, _ = scene_of_two()
        browser = scene.browser()
        page = browser.get(browser.get("/private?x=1").headers["Location"])
        assert page.status_code == 200
        assert 'id="page-choose"' in page.text
        assert "<bdi>Example</bdi>" in page.text
        assert "<bdi>Other</bdi>" in page.text
        assert f"{APP}/.oidcgate/login?rd=%2Fprivate%3Fx%3D1&amp;idp=Other" in page.text
        # Nothing has begun: nobody has chosen.
        assert "Set-Cookie" not in page.headers
        assert scene.audit == []

    @pytest.mark.row("A-03")
    def test_with_one_provider_there_is_none(self) -> None:
        browser = Scene.set({"provider": {"name": "Example"}}).browser()
        assert host_of(browser.start()) == "id.example"

    @pytest.mark.row("A-03")
    def test_who_chooses_arrives_where_they_wanted_to(self) -> None:
        scene, _, second = scene_of_two()
        browser = scene.browser()
        location = browser.get(f"/.oidcgate/login?rd={quote('/private?x=1')}&idp=Other").headers["Location"]
        assert host_of(location) == "other.example"
        assert browser.get(second.answer(location)).headers["Location"] == f"{APP}/private?x=1"
        assert browser.get("/.oidcgate/userinfo", SCRIPT).get_json()["idp"] == "Other"

    def test_the_last_choice_stands_out_and_decides_nothing(self) -> None:
        scene, _, second = scene_of_two()
        browser = scene.browser()
        assert "Used last time" not in browser.get("/.oidcgate/login").text
        signed_in_at(browser, second, "Other")
        browser.post("/.oidcgate/logout", {})
        page = browser.get("/.oidcgate/login")
        assert page.status_code == 200
        at = page.text.index
        assert at("<bdi>Example</bdi>") < at("<bdi>Other</bdi>") < at("Used last time")
        assert page.text.count("Used last time") == 1

    @pytest.mark.parametrize("value", ["", "Other", "0" * 16, "%s", "x" * 4000])
    def test_a_forged_memory_breaks_nothing(self, value: str) -> None:
        scene, _, _ = scene_of_two()
        header = {**NAVIGATION, "Cookie": f"{scene.parts.names.choice}={value}"}
        page = scene.browser().get("/.oidcgate/login", header)
        assert page.status_code == 200
        assert "Used last time" not in page.text

    def test_no_app_reads_or_writes_the_memory(self) -> None:
        scene, _, _ = scene_of_two()
        assert scene.parts.names.said_in(f"a=1; {scene.parts.names.choice}=x")

    def test_what_is_asked_of_the_sign_in_survives_the_choice(self) -> None:
        scene, _, _ = scene_of_two()
        page = scene.browser().get("/.oidcgate/login?rd=/x&max_age=60&acr_values=a%20b&prompt=login")
        assert "idp=Other&amp;prompt=login&amp;max_age=60&amp;acr_values=a+b" in page.text

    def test_who_is_to_sign_in_more_strongly_is_not_asked_where(self) -> None:
        scene, _, second = scene_of_two()
        browser = scene.browser()
        signed_in_at(browser, second, "Other")
        location = browser.get("/.oidcgate/login?rd=/x&acr_values=mfa").headers["Location"]
        assert host_of(location) == "other.example"
        # Anybody else is, and who wants another account.
        assert scene.browser().get("/.oidcgate/login?rd=/x&acr_values=mfa").status_code == 200
        assert browser.get("/.oidcgate/login?rd=/x&prompt=select_account").status_code == 200

    def test_a_name_is_text(self) -> None:
        clock = Clock()
        first, second = LyingProvider(clock), LyingProvider(clock, issuer=OTHER)
        entries = [
            {"name": name, "issuer": one.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
            for name, one in (("<script>&", first), ("Ä ö/?", second))
        ]
        scene = Scene.set({"provider": GONE, "providers": entries}, first, second)
        browser = scene.browser()
        page = browser.get("/.oidcgate/login")
        assert "<script>&" not in page.text
        assert "&lt;script&gt;&amp;" in page.text
        location = browser.get(f"/.oidcgate/login?{urlencode({'idp': 'Ä ö/?'})}").headers["Location"]
        assert host_of(location) == "other.example"

    @pytest.mark.row("G-02", "G-09")
    def test_a_script_chooses_nothing(self) -> None:
        scene, _, _ = scene_of_two()
        answer = scene.browser().get("/.oidcgate/login?rd=/x", SCRIPT)
        assert answer.status_code == 401
        assert answer.get_json()["login_url"] == f"{APP}/.oidcgate/login"

    def test_a_name_that_nobody_has_is_refused(self) -> None:
        scene, _, _ = scene_of_two()
        assert scene.browser().get("/.oidcgate/login?idp=Nobody").status_code == 400


@pytest.mark.row("F-03")
class TestAProviderForARule:
    """One gate in front of several apps, each with its own provider."""

    def test_the_rule_sends_people_to_its_provider(self) -> None:
        scene, first, second = scene_of_two(rules=RULES)
        browser = scene.browser()
        location = browser.start("/partner/x")
        assert host_of(location) == "other.example"
        assert browser.get(second.answer(location)).headers["Location"] == f"{APP}/partner/x"
        assert browser.get("/partner/x").status_code == 200
        other = scene.browser()
        location = other.start("/staff/x")
        assert host_of(location) == "id.example"
        assert other.get(first.answer(location)).status_code == 303
        assert scene.visitors == ["Bob"]

    def test_another_providers_word_does_not_count(self) -> None:
        scene, first, second = scene_of_two(rules=RULES)
        browser = scene.browser()
        signed_in_at(browser, first, "Example")
        assert browser.get("/elsewhere").status_code == 200
        answer = browser.get("/partner/x")
        assert answer.status_code == 302
        assert browser.get("/partner/x", SCRIPT).status_code == 401
        assert scene.visitors == ["Alice"]
        location = browser.get(answer.headers["Location"]).headers["Location"]
        assert host_of(location) == "other.example"
        assert browser.get(second.answer(location)).status_code == 303
        assert browser.get("/partner/x").status_code == 200

    def test_no_link_goes_around_the_rule(self) -> None:
        scene, _, _ = scene_of_two(rules=RULES)
        browser = scene.browser()
        location = browser.get("/.oidcgate/login?rd=/partner/x&idp=Example").headers["Location"]
        assert host_of(location) == "other.example"

    def test_going_back_and_forth_is_no_loop(self) -> None:
        scene, first, second = scene_of_two(rules=RULES)
        browser = scene.browser()
        for _ in range(4):
            for path, provider in (("/partner/x", second), ("/staff/x", first)):
                assert browser.get(provider.answer(browser.start(path))).status_code == 303
                assert browser.get(path).status_code == 200

    def test_what_the_rule_asks_is_asked_at_the_first_sign_in(self) -> None:
        rule = {
            "path": "/vault/**",
            "allow": "known",
            "provider": "Other",
            "prompt": ["login", "consent"],
            "max_age_seconds": 300,
            "acr_values": ["mfa"],
        }
        scene, _, _ = scene_of_two(rules=[rule])
        browser = scene.browser()
        asked = asked_in(browser.start("/vault/x%20y?z=1"))
        assert asked["prompt"] == "login consent"
        assert asked["max_age"] == "300"
        assert asked["acr_values"] == "mfa"
        # A link may ask for more, and not for less.
        for said, becomes in (("60", "60"), ("900", "300")):
            location = browser.get(f"/.oidcgate/login?rd=/vault/x&max_age={said}").headers["Location"]
            assert asked_in(location)["max_age"] == becomes

    @pytest.mark.parametrize(
        ("rule", "key"),
        [
            pytest.param({"allow": "known", "provider": "Nobody"}, "rules[0].provider", id="unknown"),
            pytest.param({"allow": "anyone", "provider": "Example"}, "rules[0].allow", id="anyone"),
            pytest.param({"allow": "anyone", "prompt": ["login"]}, "rules[0].allow", id="prompt-of-anyone"),
            pytest.param({"allow": "known", "prompt": ["none"]}, "rules[0].prompt", id="prompt-none"),
        ],
    )
    @pytest.mark.row("G-30")
    def test_a_rule_that_cannot_be_meant(self, rule: dict[str, Any], key: str) -> None:
        data = {
            "public_url": APP,
            "provider": {"name": "Example", "issuer": OTHER, "client_id": "a", "client_secret": "b"},
            "users": {"source": "any"},
            "session": {"secret": "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"},
            "rules": [{"path": "/x", **rule}],
        }
        with pytest.raises(SettingsError) as caught:
            config_from_mapping(data)
        assert [problem.key for problem in caught.value.problems] == [key]


class TestASignInThatAnotherSiteBegins:
    """OIDC Core 4: `iss` and `target_link_uri`."""

    def begun(self, browser: Browser, headers: Any = NAVIGATION, **parameters: str) -> Any:
        return browser.get(f"/.oidcgate/login?{urlencode(parameters)}", headers)

    def test_it_leads_to_that_provider_and_that_page(self) -> None:
        scene, _, second = scene_of_two()
        browser = scene.browser()
        answer = self.begun(browser, iss=OTHER, target_link_uri=f"{APP}/reports?q=1")
        assert host_of(answer.headers["Location"]) == "other.example"
        arrived = browser.get(second.answer(answer.headers["Location"]))
        assert arrived.headers["Location"] == f"{APP}/reports?q=1"

    def test_without_a_target_it_leads_to_the_first_page(self) -> None:
        scene, _, second = scene_of_two()
        browser = scene.browser()
        answer = self.begun(browser, iss=OTHER)
        assert browser.get(second.answer(answer.headers["Location"])).headers["Location"] == f"{APP}/"

    def test_a_post_goes_on_as_a_get_of_ours(self) -> None:
        scene, _, _ = scene_of_two()
        browser = scene.browser()
        cross_site = {"Origin": "https://portal.example", "Sec-Fetch-Site": "cross-site"}
        answer = browser.post("/.oidcgate/login", {"iss": OTHER, "target_link_uri": f"{APP}/x"}, cross_site)
        assert answer.status_code == 303
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Location"].startswith(f"{APP}/.oidcgate/login?iss=")
        assert host_of(browser.get(answer.headers["Location"]).headers["Location"]) == "other.example"

    def test_a_post_without_an_issuer_is_nothing(self) -> None:
        scene, _, _ = scene_of_two()
        assert scene.browser().post("/.oidcgate/login", {"rd": "/x"}).status_code == 400

    @pytest.mark.parametrize(
        "parameters",
        [
            pytest.param([("iss", "https://evil.example")], id="issuer-unknown"),
            pytest.param([("iss", OTHER + "/")], id="issuer-altered"),
            pytest.param([("iss", "")], id="issuer-empty"),
            pytest.param([("iss", "Other")], id="issuer-by-name"),
            pytest.param([("iss", OTHER), ("iss", "https://id.example")], id="issuer-twice"),
            pytest.param([("iss", OTHER), ("target_link_uri", "https://evil.example/")], id="target-foreign"),
            pytest.param([("iss", OTHER), ("target_link_uri", "//evil.example")], id="target-no-scheme"),
            pytest.param([("iss", OTHER), ("target_link_uri", "")], id="target-empty"),
            pytest.param([("iss", OTHER), ("target_link_uri", "javascript:alert(1)")], id="target-script"),
            pytest.param(
                [("iss", OTHER), ("target_link_uri", f"{APP}/.oidcgate/logout")], id="target-a-route-of-ours"
            ),
            pytest.param(
                [("iss", OTHER), ("target_link_uri", "/a"), ("target_link_uri", "/b")], id="target-twice"
            ),
            pytest.param([("iss", OTHER), ("login_hint", "a"), ("login_hint", "b")], id="hint-twice"),
        ],
    )
    @pytest.mark.row("G-22")
    def test_what_cannot_be_meant_begins_nothing(self, parameters: list[tuple[str, str]]) -> None:
        scene, _, _ = scene_of_two()
        answer = scene.browser().get(f"/.oidcgate/login?{urlencode(parameters)}")
        assert answer.status_code == 400
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.row("G-22", "S-23")
    @pytest.mark.parametrize("target", REDIRECTS)
    def test_it_never_leads_off_our_origin(self, target: str) -> None:
        scene, _, second = scene_of_two()
        browser = scene.browser()
        answer = self.begun(browser, iss=OTHER, target_link_uri=target)
        if answer.status_code == 400:
            return
        arrived = browser.get(second.answer(answer.headers["Location"])).headers["Location"]
        # As a browser would read it: tabs and line ends dropped, backslashes as slashes.
        seen = urljoin(APP, arrived.replace("\t", "").replace("\n", "").replace("\\", "/"))
        assert (urlsplit(seen).scheme, urlsplit(seen).netloc) == ("https", "app.example.com")

    @pytest.mark.parametrize("place", ["iframe", "frame", "embed", "object"])
    def test_never_in_a_frame(self, place: str) -> None:
        scene, _, _ = scene_of_two()
        answer = self.begun(scene.browser(), {**NAVIGATION, "Sec-Fetch-Dest": place}, iss=OTHER)
        assert answer.status_code == 400
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.row("G-09")
    def test_never_by_a_script(self) -> None:
        scene, _, _ = scene_of_two()
        answer = self.begun(scene.browser(), {**SCRIPT, "Sec-Fetch-Dest": "empty"}, iss=OTHER)
        assert answer.status_code in (400, 401)
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.row("F-15")
    def test_its_hint_is_dropped(self) -> None:
        scene, _, _ = scene_of_two()
        answer = self.begun(scene.browser(), iss=OTHER, login_hint="alice")
        assert "login_hint" not in asked_in(answer.headers["Location"])

    @pytest.mark.row("F-15")
    def test_its_hint_is_passed_on_where_a_switch_says_so(self) -> None:
        scene, _, _ = scene_of_two(login={"accept_login_hint": True})
        answer = self.begun(scene.browser(), iss=OTHER, login_hint="alice@example.com")
        assert asked_in(answer.headers["Location"])["login_hint"] == "alice@example.com"
        for useless in ("", "a\nb", "a" * 201):
            answer = self.begun(scene.browser(), iss=OTHER, login_hint=useless)
            assert "login_hint" not in asked_in(answer.headers["Location"])

    @pytest.mark.row("F-15")
    def test_a_link_of_our_own_has_no_hint_at_all(self) -> None:
        scene = Scene.set({"login": {"accept_login_hint": True}})
        answer = scene.browser().get("/.oidcgate/login?rd=/x&login_hint=mallory")
        assert "login_hint" not in asked_in(answer.headers["Location"])

    @pytest.mark.row("F-15")
    def test_a_name_that_the_gate_knows_is_sent(self) -> None:
        scene = Scene.set({"rules": [{"path": "/fresh", "allow": "known", "max_age_seconds": 60}]})
        browser = scene.browser()
        browser.sign_in()
        scene.clock.now += 100
        assert asked_in(browser.start("/fresh"))["login_hint"] == "Alice"


@pytest.mark.row("G-13")
class TestNoProviderSpeaksForAnother:
    """The attempt pins its issuer (mix-up)."""

    def test_a_silent_sign_in_confirms_nobody_of_the_same_subject_elsewhere(self) -> None:
        scene, first, second = scene_of_two()
        browser = scene.browser()
        signed_in_at(browser, first, "Example")
        silent = browser.get("/.oidcgate/login?rd=/x&prompt=none").headers["Location"]
        assert asked_in(silent)["prompt"] == "none"
        # In another tab, and meanwhile. Both providers call their person sub-of-alice.
        signed_in_at(browser, second, "Other")
        answer = browser.get(first.answer(silent))
        assert urlsplit(answer.headers["Location"]).path == "/.oidcgate/login"
        browser.get("/private")
        assert scene.visitors[-1] == "Bob"

    def test_an_answer_of_another_provider_is_refused(self) -> None:
        scene, honest, evil = scene_of_two()
        browser = scene.browser()
        # The attempt went to the evil one, which sends the honest one's code.
        location = browser.get("/.oidcgate/login?rd=/&idp=Other").headers["Location"]
        honest_answer = honest.answer(location)
        assert browser.get(honest_answer).status_code == 400
        assert scene.reasons() == ["iss_mismatch"]
        assert honest.calls("/token") == evil.calls("/token") == 0

    def test_a_token_of_another_provider_is_refused(self) -> None:
        scene, honest, evil = scene_of_two()
        browser = scene.browser()
        evil.claims["iss"] = honest.issuer
        location = browser.get("/.oidcgate/login?rd=/&idp=Other").headers["Location"]
        assert browser.get(evil.answer(location)).status_code == 400
        assert scene.reasons() == ["id_token_iss"]
