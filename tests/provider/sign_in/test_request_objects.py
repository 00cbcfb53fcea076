"""Request objects by value: what is in them counts, and what cannot be believed leads nowhere."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from provider.store.schema import interactions
from tests.provider.asserting import key, public, sign
from tests.provider.sign_in.objects import (
    ELSEWHERE,
    OURS,
    TAKEN,
    asked,
    beside,
    clients,
    encrypted,
    published_key,
    signed,
)
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
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    objects = {**TAKEN, "encryption_algorithms": ["RSA-OAEP-256"]}
    made = World.make(
        tmp_path_factory.mktemp("objects"), clients=clients(sealing=True), request_objects=objects
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(world: World) -> Browser:
    """One in which Alice is signed in."""
    browser = world.browser()
    browser.sign_in(browser.go(beside(request=signed())))
    return browser


def unsigned(client_id: str = "unsigned", header: Any = None, **changes: Any) -> str:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header or {"alg": "none"}, asked(client_id, **changes))
    )
    return ".".join((*parts, ""))


def went_to(page: Page) -> str:
    """Where an answer was sent."""
    assert page.location is not None, (page.status, page.main_id, page.text[:300])
    parts = urlsplit(page.location)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def refused(page: Page, error: str = "invalid_request_object") -> dict[str, str]:
    """The answer, which is that error."""
    answer = page.answer
    assert answer["error"] == error, answer
    return answer


# --- believed


def test_what_the_object_says_counts(world: World, browser: Browser) -> None:
    page = browser.step(
        beside(
            request=signed(redirect_uri=f"{CALLBACK}/inside", response_mode="fragment"),
            redirect_uri=CALLBACK,
            state="outside",
            nonce="nonce-outside",
            response_mode="query",
        )
    )
    assert went_to(page) == f"{CALLBACK}/inside"
    assert "#" in (page.location or "")
    assert page.answer["state"] == "inside"
    tokens = world.tokens(page, "signer", f"{CALLBACK}/inside")
    assert claims(tokens["id_token"])["nonce"] == "nonce-inside"
    assert tokens["scope"] == "openid profile"


def test_what_is_beside_it_counts_where_it_says_nothing(browser: Browser) -> None:
    page = browser.step(
        beside(request=signed(state=None, redirect_uri=None), redirect_uri=CALLBACK, state="o")
    )
    assert (went_to(page), page.answer["state"]) == (CALLBACK, "o")


def test_without_openid_beside_it_nothing_else_counts(browser: Browser) -> None:
    page = browser.step(beside(request=signed(state=None), scope=None, state="outside"))
    assert "code" in page.answer
    assert "state" not in page.answer


@pytest.mark.parametrize(
    ("client_id", "token"),
    [
        pytest.param("hasher", lambda: signed("hasher", "HS256", CLIENT_SECRET), id="secret"),
        pytest.param("unsigned", unsigned, id="unsigned"),
        pytest.param("keyless", lambda: unsigned("keyless"), id="unsigned-where-nothing-was-said"),
        pytest.param("second", lambda: signed("second", signer=key("RSA", "second")), id="usual-algorithm"),
        pytest.param(
            "signer", lambda: sign(asked("signer"), OURS, "RS256", typ="oauth-authz-req+jwt"), id="typ"
        ),
        pytest.param("signer", lambda: sign(asked("signer"), OURS, "RS256", kid=None), id="no-kid"),
        pytest.param("strict", lambda: signed("strict"), id="signed-as-it-has-to-be"),
    ],
)
def test_each_client_signs_in_its_way(browser: Browser, client_id: str, token: Any) -> None:
    page = browser.step(beside(client_id, request=token()))
    assert "code" in page.answer
    assert page.answer["state"] == "inside"


def test_the_pages_keep_what_the_object_said(world: World) -> None:
    """The object ends before the person has typed a password, and that again before they agree."""
    browser = world.browser()
    token = signed(
        "asks", exp=world.now + 60, prompt="consent", claims={"userinfo": {"name": None}}, max_age=600
    )
    page = browser.go(beside("asks", request=token))
    assert page.main_id == "page-login"
    world.sleep(400)
    assert (
        browser.step(beside("asks", request=token)).main_id == "page-error"
    )  # nothing beside it to answer to
    page = browser.sign_in(page)
    assert page.main_id == "page-consent"
    page = browser.submit(page, decision="allow")
    assert page.answer["state"] == "inside"
    assert "code" in page.answer


def test_a_client_that_has_to_sign_comes_through_all_pages(world: World) -> None:
    browser = world.browser()
    page = browser.go(beside("strict", request=signed("strict", prompt="login")))
    assert "code" in browser.sign_in(page).answer


def test_it_may_come_by_post_from_another_site(world: World) -> None:
    browser = world.browser()
    token = signed("strict", exp=world.now + 60)
    form = {"client_id": "strict", "request": token, "scope": "openid", "response_type": "code"}
    page = browser.step(f"{ISSUER}/authorize", form)
    assert page.status == 303
    world.sleep(400)
    page = browser.sign_in(browser.go(page.location or ""))
    assert page.answer["state"] == "inside"
    assert "code" in page.answer


def test_what_is_kept_is_no_token(world: World) -> None:
    token = signed("asks")
    world.browser().go(beside("asks", request=token))
    with world.provider.parts.store.read() as conn:
        rows = conn.execute(interactions.select()).mappings().all()
    stored = [row["request"] for row in rows if row["client_id"] == "asks"]
    assert stored
    assert all(request["signed"] is True for request in stored)
    assert not any("request" in dict(request["parameters"]) for request in stored)
    assert token not in json.dumps(stored)


def test_an_encrypted_one_is_opened(world: World, browser: Browser) -> None:
    ours = published_key(world, "RSA-OAEP-256")
    token = encrypted(signed("sealer"), ours, "RSA-OAEP-256")
    assert browser.step(beside("sealer", request=token)).answer["state"] == "inside"
    # It says that it may encrypt, not that it always does.
    assert browser.step(beside("sealer", request=signed("sealer"))).answer["state"] == "inside"


# --- not believed

_STRANGE = key("RSA", "strange")


@pytest.mark.row("P-14", "P-08", "P-02")
@pytest.mark.parametrize(
    ("client_id", "token"),
    [
        pytest.param("signer", lambda: signed(signer=_STRANGE), id="strange-key"),
        pytest.param(
            "signer", lambda: sign(asked("signer"), _STRANGE, "RS256", kid="ours"), id="strange-key-our-kid"
        ),
        pytest.param("signer", lambda: signed(signer=key("RSA", "second")), id="key-of-another-client"),
        pytest.param(
            "signer", lambda: sign(asked("signer"), OURS, "RS256", kid="second"), id="kid-of-another-client"
        ),
        pytest.param(
            "signer",
            lambda: sign(asked("signer"), _STRANGE, "RS256", jwk=public(_STRANGE)["keys"][0], kid=None),
            id="key-in-the-header",
        ),
        pytest.param("signer", lambda: signed(alg="PS256"), id="another-algorithm-of-the-key"),
        pytest.param("signer", lambda: signed(alg="RS512"), id="another-hash"),
        pytest.param("signer", lambda: signed(alg="HS256", signer=CLIENT_SECRET), id="by-the-secret"),
        pytest.param("hasher", lambda: signed("hasher", "HS256", "x" * 48), id="another-secret"),
        pytest.param("hasher", lambda: signed("hasher"), id="by-a-key-where-a-secret-is-due"),
        pytest.param("signer", lambda: unsigned("signer"), id="unsigned"),
        pytest.param("strict", lambda: unsigned("strict"), id="unsigned-where-signed-is-a-must"),
        pytest.param("hasher", lambda: unsigned("hasher"), id="unsigned-where-a-secret-is-due"),
        pytest.param("unsigned", lambda: signed("unsigned"), id="signed-where-unsigned-was-said"),
        pytest.param("keyless", lambda: signed("keyless"), id="no-key-known"),
        pytest.param("signer", lambda: signed("second"), id="of-another-client"),
        pytest.param("signer", lambda: signed(aud="https://other.example"), id="for-another-provider"),
        pytest.param("signer", lambda: signed(aud=f"{ISSUER}/r/second"), id="for-another-realm"),
        pytest.param("signer", lambda: signed(aud=None), id="for-nobody"),
        pytest.param("signer", lambda: signed(exp=1), id="ended"),
        pytest.param("signer", lambda: signed(sub="signer"), id="an-assertion"),
        pytest.param("signer", lambda: sign(asked("signer"), OURS, "RS256", typ="at+jwt"), id="another-type"),
        pytest.param("signer", lambda: signed(request="e30.e30."), id="nested"),
        pytest.param("signer", lambda: signed(request_uri="https://app.example/request"), id="nested-uri"),
        pytest.param("signer", lambda: signed(response_type="id_token"), id="another-response-type"),
        pytest.param("signer", lambda: signed(scope=["openid"]), id="scope-a-list"),
        pytest.param("signer", lambda: signed(max_age="0"), id="max_age-a-text"),
        pytest.param("signer", lambda: "x", id="no-token"),
        pytest.param("signer", lambda: "a.b.c", id="nearly-a-token"),
        pytest.param("signer", lambda: "a.b.c.d.e", id="nearly-an-encrypted-one"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_leads_nowhere(browser: Browser, client_id: str, token: Any) -> None:
    made = token()
    answer = refused(browser.step(beside(client_id, request=made, redirect_uri=CALLBACK, state="outside")))
    # Of the object nothing is used: neither its state nor its redirect URI.
    assert answer["state"] == "outside"
    assert answer["iss"] == ISSUER
    page = browser.step(beside(client_id, request=made))
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)
    page = browser.step(beside(client_id, request=made, redirect_uri=ELSEWHERE))
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)


@pytest.mark.row("P-02", "P-40")
def test_the_log_says_what_was_wrong_with_it(world: World, browser: Browser) -> None:
    browser.step(beside(request=signed(exp=1)))
    (*_, incident) = world.events("incident")
    assert incident["detail"].startswith("invalid_request_object: the request object has expired; client")
    browser.step(beside(request=signed(exp=1), redirect_uri=CALLBACK))
    (*_, event) = world.events("authorization_refused")
    assert (event["client_id"], event["error"]) == ("signer", "invalid_request_object")
    assert event["detail"] == "the request object has expired"


CHANGED = {
    "redirect_uri": f"{CALLBACK}/inside",
    "scope": "openid email",
    "state": "another",
    "nonce": "another",
    "response_mode": "fragment",
    "prompt": "none",
    "max_age": "5000",
    "login_hint": "bob",
    "ui_locales": "de",
    "acr_values": "x",
    "claims": '{"userinfo":{"email":null}}',
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_parameter_beside_it_never_goes_before_its_own(world: World, browser: Browser, name: str) -> None:
    inside: Any = {"max_age": 7000, "claims": {}, "prompt": "login", "response_mode": "query"}.get(name)
    token = signed("signer", **{name: inside} if inside is not None else {})
    page = browser.step(beside(request=token, **{name: CHANGED[name]}))
    alone = browser.step(beside(request=token))
    if page.location is not None and page.location.startswith(f"{ISSUER}/"):
        assert urlsplit(page.location).path == urlsplit(alone.location or "").path == "/login"
        return
    assert went_to(page) == went_to(alone) == CALLBACK
    assert page.answer.keys() == alone.answer.keys()
    assert page.answer["state"] == "inside"
    both = [world.tokens(one, "signer") for one in (page, alone)]
    assert [tokens["scope"] for tokens in both] == ["openid profile"] * 2
    assert [claims(tokens["id_token"])["nonce"] for tokens in both] == ["nonce-inside"] * 2


def test_a_client_that_signs_all_is_asked_by_nothing_else(browser: Browser) -> None:
    answer = refused(browser.step(authorize_url("strict")), "invalid_request")
    assert answer["error_description"] == "This client has to send a signed request object."
    page = browser.step(beside("strict", request=signed("strict"), prompt="login", response_mode="fragment"))
    assert "?code=" in (page.location or "")


def test_a_realm_may_ask_for_signatures_of_all(tmp_path: Path) -> None:
    world = World.make(
        tmp_path, clients=[client("signer", jwks=public(OURS), trusted=True)],
        request_objects={"by_value": True, "require_signed": True},
    )  # fmt: skip
    browser = world.browser()
    refused(browser.step(authorize_url("signer")), "invalid_request")
    assert "code" in browser.sign_in(browser.go(beside(request=signed()))).answer
    world.close()


def test_both_ways_together_are_none(browser: Browser) -> None:
    url = beside(request=signed(), request_uri="https://app.example/request", redirect_uri=CALLBACK)
    refused(browser.step(url), "invalid_request")


@pytest.mark.parametrize("client_id", ["nobody", "off", "nul\0"])
def test_an_object_of_no_client_is_a_page(browser: Browser, client_id: str) -> None:
    page = browser.step(beside(client_id, request=signed(client_id), redirect_uri=CALLBACK))
    assert (page.status, page.main_id) == (400, "page-error")


def test_what_is_beside_it_has_to_be_whole(browser: Browser) -> None:
    url = beside(request=signed(), redirect_uri=CALLBACK)
    for more in ("&state=a&state=b", "&nonce=a%0Ab", f"&request={signed()}", f"&request={'x' * 17_000}"):
        refused(browser.step(url + more), "invalid_request")
    refused(browser.step(beside(request=signed(x="y" * 12_000), redirect_uri=CALLBACK)), "invalid_request")
    page = browser.step(f"{url}&client_id=signer")
    assert (page.status, page.main_id) == (400, "page-error")


def test_a_redirect_uri_inside_has_to_be_registered(browser: Browser) -> None:
    page = browser.step(beside(request=signed(redirect_uri=ELSEWHERE), redirect_uri=CALLBACK))
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)


# --- encrypted, and not believed


@pytest.mark.row("P-08")
def test_what_is_encrypted_has_to_be_signed(world: World, browser: Browser) -> None:
    ours = published_key(world, "RSA-OAEP-256")
    wrong = {
        "bare JSON": encrypted(json.dumps(asked("sealer")), ours, "RSA-OAEP-256"),
        "bare JSON that says JWT": encrypted(json.dumps(asked("sealer")), ours, "RSA-OAEP-256", cty="JWT"),
        "unsigned": encrypted(unsigned("sealer"), ours, "RSA-OAEP-256"),
        "signed by another": encrypted(signed("sealer", signer=_STRANGE), ours, "RSA-OAEP-256"),
        "encrypted twice": encrypted(encrypted(signed("sealer"), ours, "RSA-OAEP-256"), ours, "RSA-OAEP-256"),
        "another content algorithm": encrypted(signed("sealer"), ours, "RSA-OAEP-256", "A128GCM"),
        "another key algorithm": encrypted(signed("sealer"), ours, "RSA-OAEP"),
        "padding of old": encrypted(signed("sealer"), ours, "RSA1_5"),
        "another key": encrypted(signed("sealer"), key("RSA", ours.get("kid"), use="enc"), "RSA-OAEP-256"),
        "unknown key": encrypted(signed("sealer"), ours, "RSA-OAEP-256", kid="x"),
        "compressed": encrypted(signed("sealer"), ours, "RSA-OAEP-256", zip="DEF"),
    }
    for what, token in wrong.items():
        answer = refused(browser.step(beside("sealer", request=token, redirect_uri=CALLBACK, state="o")))
        assert answer["state"] == "o", what
        assert browser.step(beside("sealer", request=token)).main_id == "page-error", what


def test_who_is_not_registered_to_encrypt_does_not(world: World, browser: Browser) -> None:
    token = encrypted(signed(), published_key(world, "RSA-OAEP-256"), "RSA-OAEP-256")
    answer = refused(browser.step(beside(request=token, redirect_uri=CALLBACK)))
    assert answer["error_description"] == "this client is not registered to encrypt its request objects"


# --- switched off


@pytest.mark.parametrize(
    ("realm", "request_error", "uri_error"),
    [
        pytest.param({}, "request_not_supported", "request_uri_not_supported", id="off"),
        pytest.param({"by_reference": True}, "request_not_supported", "invalid_request_uri", id="by-uri"),
        pytest.param({"by_value": True}, None, "request_uri_not_supported", id="by-value"),
    ],
)
def test_what_is_not_taken_is_said(
    tmp_path: Path, realm: dict[str, bool], request_error: str | None, uri_error: str
) -> None:
    world = World.make(tmp_path, clients=clients()[:1], request_objects=realm)
    browser = world.browser()
    page = browser.go(beside(request=signed(), redirect_uri=CALLBACK))
    if request_error is None:
        assert page.main_id == "page-login"
    else:
        refused(page, request_error)
    refused(browser.go(beside(request_uri=ELSEWHERE, redirect_uri=CALLBACK)), uri_error)
    world.close()


def test_unsigned_ones_are_not_supported_without_the_switch(tmp_path: Path) -> None:
    world = World.make(tmp_path, clients=clients()[:1], request_objects={"by_value": True})
    page = world.browser().step(beside(request=unsigned("signer"), redirect_uri=CALLBACK))
    refused(page, "request_not_supported")
    world.close()
