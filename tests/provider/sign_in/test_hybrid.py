"""The hybrid flow: a code together with tokens, for clients that can keep a secret."""

import base64
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from werkzeug.test import Client as WSGIClient
from werkzeug.test import TestResponse

from provider.store.clients import Client, insert_client
from tests.provider.sign_in.front_channel import (
    ACCESS,
    ALWAYS,
    API,
    front_world,
    half_hash,
    nowhere_else,
    sent_in,
    verified,
)
from tests.provider.sign_in.place import (
    CALLBACK,
    CLIENT_SECRET,
    ISSUER,
    START,
    VERIFIER,
    Browser,
    Page,
    World,
)

GIVEN = {
    "code id_token": {"code", "id_token"},
    "code token": {"code"} | ACCESS,
    "code id_token token": {"code", "id_token"} | ACCESS,
}
ORDERS = [" ".join(words) for name in GIVEN for words in permutations(name.split())]
HYBRID = list(GIVEN)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = front_world(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider for requests that are refused."""
    made = front_world(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


def hybrid(browser: Browser, response_type: str, client_id: str = "hybrid", **changes: str | None) -> Page:
    return browser.authorize(client_id, **{"response_type": response_type, **changes})


def signed_in(world: World, response_type: str, client_id: str = "hybrid", **changes: str | None) -> Page:
    browser = world.browser()
    return browser.sign_in(hybrid(browser, response_type, client_id, **changes))


def redeem(world: World, code: str, verifier: str | None = VERIFIER) -> TestResponse:
    basic = base64.b64encode(f"hybrid:{CLIENT_SECRET}".encode()).decode()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    if verifier is not None:
        form["code_verifier"] = verifier
    headers = {"Authorization": f"Basic {basic}"}
    return WSGIClient(world.provider).post("/token", data=form, headers=headers, base_url=ISSUER)


@pytest.mark.row("S-06", "E-25", "E-02")
@pytest.mark.parametrize("mode", [None, "fragment", "form_post"])
@pytest.mark.parametrize("response_type", ORDERS)
def test_each_type_answers_exactly_its_parameters_in_any_order_of_its_words(
    world: World, caplog: pytest.LogCaptureFixture, response_type: str, mode: str | None
) -> None:
    caplog.set_level("DEBUG")
    page = signed_in(world, response_type, response_mode=mode)
    assert sent_in(page) == (mode or "fragment")
    answer = page.answer
    given = GIVEN[" ".join(sorted(response_type.split()))]
    assert answer.keys() == given | ALWAYS
    assert (answer["state"], answer["iss"]) == ("state-1", ISSUER)
    if "access_token" in given:
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", "3600")
        assert world.userinfo_status(answer["access_token"]) == 200
    secrets = {name: answer[name] for name in given & {"code", "access_token", "id_token"}}
    nowhere_else(world, page, secrets, caplog)
    (event,) = world.events("tokens_issued")
    assert (event["grant_type"], event["client_id"]) == ("hybrid", "hybrid")


@pytest.mark.row("S-06", "P-14")
@pytest.mark.parametrize("audience", [pytest.param(None, id="opaque"), pytest.param(API, id="jwt")])
@pytest.mark.parametrize("response_type", ["code id_token", "code id_token token"])
def test_c_hash_and_at_hash_bind_what_came_along(
    world: World, response_type: str, audience: str | None
) -> None:
    answer = signed_in(world, response_type, audience=audience).answer
    _, claims = verified(world, answer["id_token"])
    assert claims["c_hash"] == half_hash(answer["code"])
    assert claims["nonce"] == "nonce-1"
    if "token" in response_type.split():
        assert claims["at_hash"] == half_hash(answer["access_token"])
    else:
        assert "at_hash" not in claims


@pytest.mark.row("S-06", "E-02")
@pytest.mark.parametrize("response_type", ["code id_token", "code id_token token"])
def test_claims_of_scopes_are_left_to_userinfo(world: World, response_type: str) -> None:
    answer = signed_in(world, response_type, scope="openid profile email").answer
    _, claims = verified(world, answer["id_token"])
    assert not {"name", "email"} & claims.keys()


@pytest.mark.row("S-06", "S-07", "S-03")
@pytest.mark.parametrize("response_type", HYBRID)
def test_the_code_gives_tokens_of_the_same_person_and_the_only_refresh_token(
    world: World, response_type: str
) -> None:
    answer = signed_in(world, response_type, scope="openid profile offline_access").answer
    assert "refresh_token" not in answer
    response = redeem(world, answer["code"])
    assert response.status_code == 200
    tokens = response.get_json()
    assert world.refresh(tokens["refresh_token"], "hybrid").status_code == 200
    _, second = verified(world, tokens["id_token"])
    assert (second["iss"], second["sub"], second["nonce"]) == (ISSUER, "sub-alice", "nonce-1")
    assert second["at_hash"] == half_hash(tokens["access_token"])
    assert "c_hash" not in second
    if "id_token" in answer:
        _, first = verified(world, answer["id_token"])
        same = ("iss", "sub", "aud", "nonce", "auth_time", "acr", "amr", "sid")
        assert {name: first[name] for name in same} == {name: second[name] for name in same}


@pytest.mark.row("S-06", "P-04", "P-27")
@pytest.mark.parametrize("response_type", ["code token", "code id_token token"])
def test_a_code_used_twice_stops_the_token_that_came_with_it(world: World, response_type: str) -> None:
    answer = signed_in(world, response_type).answer
    tokens = redeem(world, answer["code"]).get_json()
    both = (answer["access_token"], tokens["access_token"])
    assert [world.userinfo_status(token) for token in both] == [200, 200]
    again = redeem(world, answer["code"])
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    assert [world.userinfo_status(token) for token in both] == [401, 401]


@pytest.mark.row("S-06", "E-02", "E-25")
@pytest.mark.parametrize("mode", [None, "form_post"])
@pytest.mark.parametrize("response_type", HYBRID)
def test_a_nonce_is_needed_where_an_id_token_comes(
    world: World, response_type: str, mode: str | None
) -> None:
    browser = world.browser()
    page = hybrid(browser, response_type, nonce=None, response_mode=mode)
    if response_type == "code token":
        page = browser.sign_in(page)
        assert page.answer.keys() == GIVEN[response_type] | ALWAYS
        _, claims = verified(world, redeem(world, page.answer["code"]).get_json()["id_token"])
        assert "nonce" not in claims
    else:
        assert page.answer["error"] == "invalid_request"
        assert "nonce" in page.answer["error_description"]
    assert sent_in(page) == (mode or "fragment")


@pytest.mark.row("S-06", "S-08")
@pytest.mark.parametrize("response_type", HYBRID)
def test_without_openid_there_is_no_id_token(world: World, response_type: str) -> None:
    browser = world.browser()
    page = hybrid(browser, response_type, scope="profile")
    if response_type == "code token":
        tokens = redeem(world, browser.sign_in(page).answer["code"]).get_json()
        assert "id_token" not in tokens
    else:
        assert (sent_in(page), page.answer["error"]) == ("fragment", "invalid_scope")


@pytest.mark.row("S-06", "E-25")
@pytest.mark.parametrize("prompt", [None, "none"])
@pytest.mark.parametrize("response_type", HYBRID)
def test_tokens_are_never_for_the_query_and_neither_is_the_refusal(
    shared: World, response_type: str, prompt: str | None
) -> None:
    page = hybrid(shared.browser(), response_type, response_mode="query", prompt=prompt)
    assert sent_in(page) == "fragment"
    assert page.answer.keys() == {"error", "error_description"} | ALWAYS
    assert page.answer["error"] == "invalid_request"


@pytest.mark.row("E-25", "S-06", "P-02")
@pytest.mark.parametrize("mode", [None, "form_post"])
@pytest.mark.parametrize("response_type", HYBRID)
def test_prompt_none_answers_the_same_way(world: World, response_type: str, mode: str | None) -> None:
    browser = world.browser()
    refused = hybrid(browser, response_type, prompt="none", response_mode=mode)
    assert (sent_in(refused), refused.answer["error"]) == (mode or "fragment", "login_required")
    browser.sign_in(hybrid(browser, response_type))
    given = hybrid(browser, response_type, prompt="none", response_mode=mode)
    assert sent_in(given) == (mode or "fragment")
    assert given.answer.keys() == GIVEN[response_type] | ALWAYS


@pytest.mark.row("S-07", "S-50")
@pytest.mark.parametrize("response_type", HYBRID)
def test_a_public_client_is_refused_also_one_of_the_database(shared: World, response_type: str) -> None:
    """Nothing writes such a row; one that is there all the same gets nothing by it."""
    store = shared.provider.parts.store
    client_id = f"public-{response_type.replace(' ', '-')}"
    with store.begin() as conn:
        insert_client(
            conn,
            "default",
            Client(
                client_id=client_id,
                enabled=True,
                created_at=START,
                name="Without a secret",
                auth_method="none",
                redirect_uris=(CALLBACK,),
                post_logout_redirect_uris=(),
                flows=("hybrid", "authorization_code"),
                scopes=("openid", "profile"),
                trusted=True,
            ),
        )
    page = hybrid(shared.browser(), response_type, client_id)
    assert (sent_in(page), page.answer["error"]) == ("fragment", "unauthorized_client")
    assert shared.browser().authorize(client_id).main_id == "page-login"


@pytest.mark.row("E-05", "P-05", "S-09")
@pytest.mark.parametrize("response_type", HYBRID)
@pytest.mark.parametrize(
    ("verifier", "status"),
    [
        pytest.param(VERIFIER, 200, id="right"),
        pytest.param("w" * 64, 400, id="wrong"),
        pytest.param(None, 400, id="missing"),
    ],
)
def test_the_code_keeps_its_challenge(
    world: World, response_type: str, verifier: str | None, status: int
) -> None:
    response = redeem(world, signed_in(world, response_type).answer["code"], verifier)
    assert response.status_code == status
    if status == 400:
        assert response.get_json()["error"] == "invalid_grant"


@pytest.mark.row("E-05", "P-05", "S-07")
def test_a_client_with_a_secret_may_go_without_a_challenge(world: World) -> None:
    bare = {"code_challenge": None, "code_challenge_method": None}
    code = signed_in(world, "code id_token", **bare).answer["code"]
    downgraded = redeem(world, code)
    assert (downgraded.status_code, downgraded.get_json()["error"]) == (400, "invalid_grant")
    code = signed_in(world, "code id_token", **bare).answer["code"]
    assert redeem(world, code, None).status_code == 200


@pytest.mark.row("S-01", "S-08")
@pytest.mark.parametrize("scope", ["openid profile", "profile"])
@pytest.mark.parametrize("mode", [None, "fragment", "form_post"])
def test_a_code_alone_comes_without_any_token(world: World, scope: str, mode: str | None) -> None:
    browser = world.browser()
    page = browser.sign_in(browser.authorize("both", scope=scope, response_mode=mode))
    assert sent_in(page) == (mode or "query")
    assert page.answer.keys() == {"code"} | ALWAYS
    tokens = world.tokens(page, "both")
    assert ("id_token" in tokens) == ("openid" in scope)
    assert [event["grant_type"] for event in world.events("tokens_issued")] == ["authorization_code"]
