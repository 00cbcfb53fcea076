"""`/token`: every parameter missing, repeated, oversized and wrong; who may use it; what is answered."""

from urllib.parse import urlencode

import pytest

from oidcgate.jose.jwt import verify
from oidcgate.jose.keys import import_public_keys
from oidcgate.protocol.id_token import half_hash
from tests.provider.world import (
    ALICE,
    APP_SECRET,
    CHALLENGE,
    ISSUER,
    OTHER_SECRET,
    REDIRECT_URI,
    VERIFIER,
    World,
    basic,
    error_of,
)

INVALID_GRANT = (400, "invalid_grant")
INVALID_REQUEST = (400, "invalid_request")
INVALID_CLIENT = (401, "invalid_client")


@pytest.mark.row("E-01", "S-13", "S-15")
def test_a_code_gives_every_token(world: World) -> None:
    response = world.redeem(world.code())

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    body = response.get_json()
    assert body.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "refresh_token",
        "id_token",
    }
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"] == "openid profile email offline_access"


@pytest.mark.row("E-01", "F-14", "S-25")
def test_the_id_token_says_how_and_when_the_person_signed_in(world: World) -> None:
    body = world.tokens()
    keys = import_public_keys(world.browser().get("/jwks").get_json())

    token = verify(body["id_token"], keys, ["RS256"])

    assert token.header.keys() == {"alg", "kid"}
    assert token.claims == {
        "iss": ISSUER,
        "sub": ALICE,
        "aud": "app",
        "iat": world.now,
        "exp": world.now + 3600,
        "auth_time": world.now - 60,
        "nonce": "n-1",
        "acr": "knowledge",
        "amr": ["pwd"],
        "sid": "sid-1",
        "at_hash": half_hash(body["access_token"], "RS256"),
        "preferred_username": "alice",
    }


@pytest.mark.parametrize(
    ("scope", "absent"),
    [
        pytest.param(("openid", "profile"), "refresh_token", id="no-offline-access-no-refresh-token"),
        pytest.param(("profile", "offline_access"), "id_token", id="no-openid-no-id-token"),
    ],
)
def test_what_was_not_granted_is_not_given(world: World, scope: tuple[str, ...], absent: str) -> None:
    assert absent not in world.tokens(scope=scope)


def test_a_client_without_the_flow_gets_no_refresh_token(database, world: World) -> None:
    code = world.code()
    client = {
        "client_id": "app",
        "client_secret": APP_SECRET,
        "redirect_uris": [REDIRECT_URI],
        "flows": ["authorization_code"],
    }
    narrowed = World.over(database, clients=[client])

    assert "refresh_token" not in narrowed.redeem(code).get_json()


@pytest.mark.row("S-32")
def test_fractions_of_an_hour(database) -> None:
    world = World.over(database, lifetimes={"access_token_hours": 0.25})
    assert world.tokens()["expires_in"] == 900


FORM = {"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}


@pytest.mark.row("E-01", "E-05", "P-04", "P-05")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"grant_type": ""}, INVALID_REQUEST, id="grant-type-missing"),
        pytest.param({"grant_type": "anything"}, (400, "unsupported_grant_type"), id="grant-type-unknown"),
        pytest.param(
            {"grant_type": "Authorization_Code"}, (400, "unsupported_grant_type"), id="grant-type-case"
        ),
        pytest.param({"grant_type": "x" * 5000}, INVALID_REQUEST, id="grant-type-oversized"),
        pytest.param({"code": ""}, INVALID_REQUEST, id="code-missing"),
        pytest.param({"code": "wrong"}, INVALID_GRANT, id="code-wrong"),
        pytest.param({"code": "x" * 5000}, INVALID_REQUEST, id="code-oversized"),
        pytest.param({"code": "a\0b"}, INVALID_REQUEST, id="code-with-nul"),
        pytest.param({"code": "é"}, INVALID_GRANT, id="code-not-ascii"),
        pytest.param({"redirect_uri": ""}, INVALID_REQUEST, id="redirect-uri-missing"),
        pytest.param({"redirect_uri": REDIRECT_URI + "/"}, INVALID_GRANT, id="redirect-uri-slash-added"),
        pytest.param({"redirect_uri": REDIRECT_URI.upper()}, INVALID_GRANT, id="redirect-uri-case"),
        pytest.param(
            {"redirect_uri": "https://other.example/cb"}, INVALID_GRANT, id="redirect-uri-of-another"
        ),
        pytest.param({"code_verifier": ""}, INVALID_GRANT, id="verifier-missing"),
        pytest.param({"code_verifier": "w" * 43}, INVALID_GRANT, id="verifier-wrong"),
        pytest.param({"code_verifier": "v" * 42}, INVALID_GRANT, id="verifier-too-short"),
        pytest.param({"code_verifier": CHALLENGE}, INVALID_GRANT, id="verifier-is-the-challenge"),
        pytest.param({"code_verifier": "v" * 5000}, INVALID_REQUEST, id="verifier-oversized"),
        pytest.param({"client_id": "other"}, INVALID_REQUEST, id="client-id-of-another"),
        pytest.param({"client_secret": APP_SECRET}, INVALID_REQUEST, id="two-authentications"),
        pytest.param({"client_assertion": "a.b.c"}, INVALID_REQUEST, id="assertion-beside-basic"),
    ],
)
def test_one_parameter_wrong(world: World, changes: dict[str, str], expected: tuple[int, str]) -> None:
    code = world.code()
    form = {**FORM, "code": code, **changes}
    response = world.token({name: value for name, value in form.items() if value})

    assert error_of(response) == expected
    assert response.headers["Cache-Control"] == "no-store"
    # The refusal did not use the code up: only its owner can.
    assert world.redeem(code).status_code == 200


@pytest.mark.row("P-01")
@pytest.mark.parametrize(
    "name", ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "scope"]
)
def test_a_repeated_parameter_is_refused(world: World, name: str) -> None:
    form = {**FORM, "code": world.code(), "client_id": "app", "scope": "openid"}
    pairs = [*form.items(), (name, form[name])]
    response = world.post("/token", pairs, headers={"Authorization": basic("app", APP_SECRET)})
    assert error_of(response) == INVALID_REQUEST


def test_an_unknown_parameter_is_ignored(world: World) -> None:
    assert world.redeem(world.code(), extra="foobar").status_code == 200


@pytest.mark.row("E-05", "P-05")
def test_a_verifier_without_a_challenge_is_refused(world: World) -> None:
    code = world.code(code_challenge=None, code_challenge_method=None)
    assert error_of(world.redeem(code)) == INVALID_GRANT


def test_a_confidential_client_may_do_without_pkce(world: World) -> None:
    code = world.code(code_challenge=None, code_challenge_method=None)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
    assert world.token(form).status_code == 200


@pytest.mark.row("E-05")
def test_a_public_client_needs_its_challenge(world: World) -> None:
    uri = "https://native.example/cb"
    form = {"grant_type": "authorization_code", "client_id": "native", "redirect_uri": uri}
    bare = world.code(client_id="native", redirect_uri=uri, code_challenge=None, code_challenge_method=None)
    bound = world.code(client_id="native", redirect_uri=uri)

    assert error_of(world.token({**form, "code": bare}, auth=None)) == INVALID_GRANT
    good = world.token({**form, "code": bound, "code_verifier": VERIFIER}, auth=None)
    assert good.status_code == 200


@pytest.mark.row("P-04")
def test_a_code_of_another_client_is_refused_and_survives(world: World) -> None:
    code = world.code()
    form = {**FORM, "code": code, "client_id": "other", "client_secret": OTHER_SECRET}

    assert error_of(world.token(form, auth=None)) == INVALID_GRANT
    tokens = world.redeem(code).get_json()
    # Used now; the stranger who tries again cannot end the owner's sign-in with it.
    assert error_of(world.token(form, auth=None)) == INVALID_GRANT
    assert world.userinfo(tokens["access_token"]).status_code == 200


@pytest.mark.row("E-01", "P-04")
def test_a_second_use_kills_what_the_first_one_got(world: World) -> None:
    code = world.code()
    tokens = world.redeem(code).get_json()
    assert world.userinfo(tokens["access_token"]).status_code == 200

    assert error_of(world.redeem(code)) == INVALID_GRANT

    assert world.userinfo(tokens["access_token"]).status_code == 401
    assert error_of(world.refresh(tokens["refresh_token"])) == INVALID_GRANT
    assert any('"provider.code_reused"' in line for line in world.events)


@pytest.mark.row("E-01")
def test_a_second_use_is_seen_after_the_code_has_expired(world: World) -> None:
    code = world.code()
    tokens = world.redeem(code).get_json()
    world.clock.move(90)
    assert error_of(world.redeem(code)) == INVALID_GRANT
    assert world.userinfo(tokens["access_token"]).status_code == 401


@pytest.mark.row("S-31")
def test_a_code_ends_on_its_second(world: World) -> None:
    first, second = world.code(), world.code()
    world.clock.move(59)
    assert world.redeem(first).status_code == 200
    world.clock.move(1)
    assert error_of(world.redeem(second)) == INVALID_GRANT


@pytest.mark.row("P-12", "S-45")
@pytest.mark.parametrize("gone", ["user", "client"])
def test_account_and_client_are_looked_at_again(database, world: World, gone: str) -> None:
    code = world.code()
    clients = [
        {
            "client_id": "app",
            "client_secret": APP_SECRET,
            "redirect_uris": [REDIRECT_URI],
            "enabled": gone != "client",
        }
    ]
    users = [{"user_name": "alice", "user_id": ALICE, "active": gone != "user"}]
    later = World.over(database, clients=clients, users=users)

    assert error_of(later.redeem(code)) == (INVALID_CLIENT if gone == "client" else INVALID_GRANT)


@pytest.mark.row("S-02", "P-15")
@pytest.mark.parametrize(
    ("headers", "extra", "expected"),
    [
        pytest.param({}, {}, INVALID_CLIENT, id="nothing"),
        pytest.param({}, {"client_id": "app"}, INVALID_CLIENT, id="no-secret"),
        pytest.param({"Authorization": basic("app", "wrong")}, {}, INVALID_CLIENT, id="wrong-secret"),
        pytest.param({"Authorization": basic("app", "")}, {}, INVALID_CLIENT, id="empty-secret"),
        pytest.param({"Authorization": basic("nobody", APP_SECRET)}, {}, INVALID_CLIENT, id="unknown-client"),
        pytest.param({"Authorization": basic("x" * 500, "y")}, {}, INVALID_CLIENT, id="long-client-id"),
        pytest.param({"Authorization": "Basic ???"}, {}, INVALID_CLIENT, id="not-base64"),
        pytest.param({"Authorization": "Bearer abc"}, {}, INVALID_CLIENT, id="another-scheme"),
        pytest.param(
            {},
            {"client_id": "app", "client_secret": APP_SECRET},
            INVALID_CLIENT,
            id="post-but-registered-basic",
        ),
        pytest.param(
            {"Authorization": basic("other", OTHER_SECRET)},
            {},
            INVALID_CLIENT,
            id="basic-but-registered-post",
        ),
        pytest.param(
            {"Authorization": basic("native", "x")}, {}, INVALID_CLIENT, id="public-client-with-a-secret"
        ),
        pytest.param({}, {"client_id": "app", "client_assertion": "x"}, INVALID_CLIENT, id="assertion"),
    ],
)
def test_a_client_that_does_not_prove_itself(
    world: World, headers: dict[str, str], extra: dict[str, str], expected: tuple[int, str]
) -> None:
    code = world.code()
    response = world.post("/token", {**FORM, "code": code, **extra}, headers=headers)

    assert error_of(response) == expected
    challenge = response.headers.get("WWW-Authenticate")
    assert challenge == (f'Basic realm="{ISSUER}"' if headers else None)
    assert world.redeem(code).status_code == 200


@pytest.mark.row("S-02", "P-15")
def test_no_answer_tells_unknown_from_wrong(world: World) -> None:
    unknown = world.token({**FORM, "code": "x"}, auth=("nobody", APP_SECRET))
    wrong = world.token({**FORM, "code": "x"}, auth=("app", "wrong"))
    assert unknown.data == wrong.data
    reasons = [line for line in world.events if '"provider.client_refused"' in line]
    assert "unknown client" in reasons[0]
    assert "wrong secret" in reasons[1]


def test_client_secret_post(world: World) -> None:
    uri = "https://other.example/cb"
    code = world.code(client_id="other", redirect_uri=uri)
    form = {**FORM, "code": code, "redirect_uri": uri, "client_id": "other", "client_secret": OTHER_SECRET}
    assert world.token(form, auth=None).status_code == 200


@pytest.mark.row("S-15")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", '{"grant_type": "authorization_code"}', id="json"),
        pytest.param("multipart/form-data; boundary=x", "--x--", id="multipart"),
        pytest.param("", "grant_type=authorization_code", id="no-type"),
    ],
)
def test_only_a_form(world: World, content_type: str, body: str) -> None:
    headers = {"Authorization": basic("app", APP_SECRET), "Content-Type": content_type}
    response = world.browser().post("/token", data=body, headers=headers)
    assert error_of(response) == INVALID_REQUEST


@pytest.mark.row("S-15")
def test_nothing_is_taken_from_the_query(world: World) -> None:
    query = urlencode({**FORM, "code": world.code()})
    response = world.post(
        f"/token?{query}", [("x", "y")], headers={"Authorization": basic("app", APP_SECRET)}
    )
    assert error_of(response) == INVALID_REQUEST


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
@pytest.mark.row("S-15")
def test_only_post(world: World, method: str) -> None:
    response = world.browser().open("/token", method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"a=" + b"x" * 40_000, 400, id="over-what-a-form-may-have"),
        pytest.param(b"a=" + b"x" * 200_000, 413, id="over-what-is-read"),
        pytest.param(b"&".join(b"a%d=1" % n for n in range(200)), 400, id="200-parameters"),
        pytest.param(b"code=%ff%fe&grant_type=authorization_code", 400, id="not-utf-8"),
    ],
)
def test_oversized_and_undecodable_bodies(world: World, body: bytes, status: int) -> None:
    response = world.browser().post(
        "/token",
        data=body,
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": basic("app", APP_SECRET)},
    )
    assert error_of(response) == (status, "invalid_request")


@pytest.mark.row("P-15")
def test_no_event_holds_a_code_or_token(world: World) -> None:
    code = world.code()
    tokens = world.redeem(code).get_json()
    world.refresh(tokens["refresh_token"])
    world.redeem(code)
    written = "\n".join(world.events)
    assert "provider.tokens_issued" in written
    for secret in (code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"], APP_SECRET):
        assert secret not in written


@pytest.mark.row("P-15")
def test_no_row_holds_a_code_or_token(world: World) -> None:
    code = world.code()
    tokens = world.redeem(code).get_json()
    again = world.refresh(tokens["refresh_token"]).get_json()
    stored = str([world.rows(t) for t in ("grants", "codes", "access_tokens", "refresh_tokens", "keys")])
    for secret in (code, tokens["access_token"], tokens["refresh_token"], again["refresh_token"]):
        assert secret not in stored
