"""Names and texts that somebody chose, hostile, on every page and in every token.

One provider for each text, which stands wherever a text can: the name of the realm, the client, the API, the
organization and the person, what a scope says, attributes and the claims that they become. Every page is read
as a browser reads it: the text is there, whole, and nothing of it is anything but text.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from werkzeug.test import TestResponse

from tests.provider.bad_input.watching import problem_of, read
from tests.provider.sign_in.front_channel import verified
from tests.provider.sign_in.place import (
    CALLBACK,
    CLIENT_SECRET,
    ISSUER,
    Browser,
    Page,
    World,
    authorize_url,
    claims,
    client,
    settings_document,
)
from tests.support.portions import every

API = "https://api.example"
# The name of a claim, an identifier and a scope may hold less than any text.
CLAIM = "https://x.example/<b>'{{7*7}}&claim"
ORG_ID = "acme'<b>{{7*7}}&\"\\"
VALUE = "view:'*$()"
TEXTS = [
    pytest.param("</title></strong><script>alert(1)</script><img src=x onerror=alert(1)>", id="markup"),
    pytest.param("\" onmouseover=\"alert(1)\" x='` onfocus=alert(1) autofocus", id="attribute"),
    pytest.param("{{7*7}}{% raw %}{{ self }}${7*7}#{7*7}<%= 7*7 %>", id="template"),
    pytest.param("{client.__class__} {0} {} %(client)s %s $client }{", id="format-string"),
    pytest.param("javascript:alert(1)//data:text/html,<b>", id="address"),
    pytest.param("&lt;script&gt;&amp;&#60;&quot;&nbsp", id="escaped-already"),
    pytest.param("<!-- --><![CDATA[ ]]></textarea></style></script>", id="comment"),
    pytest.param("\u202eevil.exe\u202c \u2066\u2067 \u200f", id="turned-around"),
    pytest.param("pay\u200bpal\u200d \ufeff \u00ad", id="zero-width"),
    pytest.param("\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u0130\ufb03 \u2028", id="unicode"),
    pytest.param("'; DROP TABLE users; -- \\' \\\" \\u0000", id="sql"),
    pytest.param("A very long name " + "and longer " * 150, id="long"),
    pytest.param("x" * 1500, id="long-word"),
]  # fmt: skip


@dataclass
class Hostile:
    """A provider in which one text stands everywhere.

    Attributes:
        name: The user name: the text as far as a name may be it.
    """

    world: World
    text: str
    name: str

    def reads(self, page: Page, main_id: str, *texts: str, status: int = 200) -> Page:
        """Judge a page: it is the one, these texts stand on it as text, and nothing came of any."""
        assert (page.main_id, page.status) == (main_id, status), page.text[:600]
        assert problem_of(page.response, (f"{ISSUER}/", CALLBACK)) is None
        reader = read(page.text)
        shown = [reader.text, *(v for _, given in reader.elements for v in given.values() if v)]
        for text in (self.text, *texts):
            # A browser makes one line end of each, as the parser does not.
            assert any(text in one for one in shown), (main_id, text[:80])
        return page


@pytest.fixture(params=every(2, TEXTS))
def hostile(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Hostile]:
    text: str = request.param
    # Names have no invisible characters, and an end.
    name = "".join(letter for letter in text if letter.isprintable())[:200].strip()
    alice, bob, *_ = settings_document()["users"]
    person = {"user_name": name, "user_id": "sub-alice", "password_hash": alice["password_hash"]}
    world = World.make(
        tmp_path,
        display_name=text,
        clients=[
            client("app", name=text, scopes=["*"], flows=["authorization_code", "introspection"]),
            client("trusted", name=text, trusted=True, scopes=["*"]),
            client("strict", name=text, trusted=True, second_factor="required"),
            client("unready", name=text, trusted=True, organizations=False),
            client("tv", name=text, auth_method="none", flows=["device_code"], redirect_uris=[]),
        ],
        users=[
            {**person, "name": text, "attributes": {"label": text, "labels": [text, text]},
             "organizations": [ORG_ID, "globex"]},
            bob,
        ],
        organizations=[{"org_id": ORG_ID, "name": text}, {"org_id": "globex"}],
        properties=[{"name": "label"}, {"name": "labels", "multi_valued": True}],
        claims=[
            {"name": CLAIM, "property": "label", "into": ["id_token", "userinfo", "access_token"]},
            {"name": "labels", "property": "labels"},
        ],
        scopes=[
            {"value": VALUE, "display_name": text, "description": text, "claims": [CLAIM, "labels"]},
            {"value": "read"},
        ],
        resources=[
            {"audience": API, "name": text, "scopes": ["read"], "access_token_format": "jwt",
             "include": ["client_name", "oidc_scopes", "oidc_claims"]},
        ],
        second_factor={"mode": "acr", "enrol_at_sign_in": True},
        throttle={"account_failures": 50},
    )  # fmt: skip
    yield Hostile(world, text, name)
    world.close()


def choose(page: Page, browser: Browser) -> Page:
    """Past the choice of an organization."""
    return browser.submit(page, org_id=ORG_ID) if page.main_id == "page-organization" else page


@pytest.mark.row("P-03", "A-09", "A-13", "S-48")
def test_on_every_page_it_is_text(hostile: Hostile) -> None:
    world, text, name = hostile.world, hostile.text, hostile.name
    browser = world.browser()
    hostile.reads(browser.step(f"{ISSUER}/"), "page-home")
    hostile.reads(browser.step(f"{ISSUER}/nothing/here"), "page-error", status=404)
    hint = text[:4000]
    page = browser.authorize("app", login_hint=hint, scope=f"openid profile {VALUE}")
    page = hostile.reads(page, "page-login", *([hint[:255]] if hint.isprintable() else []))
    page = hostile.reads(
        browser.submit(page, username=text, password="x"), "page-login", text[:255], status=403
    )
    page = hostile.reads(
        browser.submit(page, username=name, password="demo-alice"), "page-organization", name, ORG_ID
    )
    page = hostile.reads(browser.submit(page, org_id=ORG_ID), "page-consent", name, VALUE)
    assert browser.submit(page, decision="allow", uncheck=[VALUE]).answer["code"]
    page = browser.authorize("app", scope=f"openid read {VALUE}", resource=API)
    page = hostile.reads(choose(page, browser), "page-consent", name)
    hostile.reads(browser.authorize("trusted", prompt="select_account"), "page-account", name)
    hostile.reads(choose(browser.authorize("strict"), browser), "page-enrol", name)
    page = browser.step(authorize_url("trusted", prompt="none", response_mode="form_post", state=text[:4000]))
    hostile.reads(page, "page-form-post", text[:4000])
    hostile.reads(browser.go(f"{ISSUER}/end_session?client_id=app"), "page-logout", name)
    hostile.reads(world.browser().go(f"{ISSUER}/end_session"), "page-logged-out")


@pytest.mark.row("P-03", "E-28")
def test_on_the_pages_of_the_second_factor_it_is_text(hostile: Hostile) -> None:
    browser = hostile.world.browser()
    page = browser.authorize("strict")
    page = browser.submit(page, username=hostile.name, password="demo-alice")
    page = hostile.reads(choose(page, browser), "page-enrol", hostile.name)
    secret = page.text.partition('id="secret">')[2].partition("<")[0].replace(" ", "")
    code = pyotp.TOTP(secret).at(hostile.world.now)
    page = hostile.reads(browser.submit(page, otp=hostile.text), "page-enrol", hostile.name, status=403)
    assert choose(browser.submit(page, otp=code), browser).answer["code"]
    hostile.world.sleep(60)
    browser = hostile.world.browser()
    page = browser.submit(browser.authorize("strict"), username=hostile.name, password="demo-alice")
    page = hostile.reads(choose(page, browser), "page-otp", hostile.name)
    hostile.reads(browser.submit(page, otp=hostile.text), "page-otp", hostile.name, status=403)


@pytest.mark.row("P-03", "A-28", "E-26")
def test_on_the_account_pages_it_is_text(hostile: Hostile) -> None:
    world, text, name = hostile.world, hostile.text, hostile.name
    browser = world.browser()
    login = browser.go(f"{ISSUER}/account")
    sent = {**login.hidden, "username": name, "password": "demo-alice"}
    # Of a browser's own word nothing is kept but names of ours.
    agent = {"User-Agent": f"{text.encode('ascii', 'ignore').decode()[:300]} Firefox/140.0 Linux"}
    page = browser.step(login.action, sent, headers=agent)
    page = hostile.reads(browser.go(str(page.location)), "page-my-overview", name)
    hostile.reads(browser.go(f"{ISSUER}/account/profile"), "page-my-profile", name)
    hostile.reads(browser.go(f"{ISSUER}/account/password"), "page-my-password", name)
    hostile.reads(browser.go(f"{ISSUER}/account/authenticator"), "page-my-authenticator", name)
    hostile.reads(browser.go(f"{ISSUER}/account/authenticator/new"), "page-my-new-authenticator", name)
    page = hostile.reads(browser.go(f"{ISSUER}/account/sessions"), "page-my-sessions", name)
    assert "<bdi>Firefox on Linux</bdi>" in page.text
    asked = choose(browser.authorize("app", scope=f"openid {VALUE}"), browser)
    assert browser.submit(asked, decision="allow").answer["code"]
    page = hostile.reads(browser.go(f"{ISSUER}/account/applications"), "page-my-applications", name)
    page = browser.submit(browser.go(f"{ISSUER}/account/applications"), client_id="app")
    hostile.reads(page, "page-my-applications", name)


@pytest.mark.row("P-03")
def test_on_the_pages_of_a_device_it_is_text(hostile: Hostile) -> None:
    world = hostile.world
    browser = world.browser()
    form = {"client_id": "tv", "scope": "openid"}
    started = browser.client.post("/device_authorization", data=form, base_url=ISSUER).get_json()
    page = hostile.reads(browser.go(f"{ISSUER}/device"), "page-device")
    page = hostile.reads(browser.submit(page, user_code=hostile.text), "page-device", status=403)
    page = hostile.reads(browser.submit(page, user_code=started["user_code"]), "page-device-confirm")
    page = browser.submit(page, decision="allow")
    page = choose(browser.submit(page, username=hostile.name, password="demo-alice"), browser)
    page = hostile.reads(page, "page-consent", hostile.name)
    hostile.reads(browser.submit(page, decision="allow"), "page-device-done")


@pytest.mark.row("S-26", "S-42", "E-18", "C-4")
def test_in_every_token_it_is_exact(hostile: Hostile) -> None:
    world, text, name = hostile.world, hostile.text, hostile.name
    browser = world.browser()
    page = browser.authorize("trusted", scope=f"openid profile read {VALUE}", resource=API, nonce=text[:4000])
    page = choose(browser.submit(page, username=name, password="demo-alice"), browser)
    tokens = world.tokens(page)
    said = claims(tokens["id_token"])
    assert verified(world, tokens["id_token"])[1] == said
    assert (said["org_id"], said["org_name"], said["nonce"]) == (ORG_ID, text, text[:4000])
    assert (said[CLAIM], said["labels"]) == (text, [text, text])
    access = claims(tokens["access_token"])
    assert (access[CLAIM], access["client_name"]) == (text, text)
    asked = browser.client.post(
        "/introspect", data={"token": tokens["access_token"]}, auth=("app", CLIENT_SECRET), base_url=ISSUER
    )
    assert (asked.status_code, asked.get_json()["username"]) == (200, name)


@pytest.mark.row("S-26", "S-42")
def test_in_userinfo_it_is_exact(hostile: Hostile) -> None:
    world, text = hostile.world, hostile.text
    browser = world.browser()
    page = browser.authorize("trusted", scope=f"openid profile {VALUE}")
    page = choose(browser.submit(page, username=hostile.name, password="demo-alice"), browser)
    token = world.tokens(page)["access_token"]
    shown: TestResponse = browser.client.get(
        "/userinfo", headers={"Authorization": f"Bearer {token}"}, base_url=ISSUER
    )
    said = shown.get_json()
    assert (said["name"], said["preferred_username"], said[CLAIM]) == (text, hostile.name, text)
    # The events are one line each, whatever stands in them.
    assert all("\n" not in line and json.loads(line) for line in world.lines)
