"""Registrations of every forbidden kind, when an application comes and again when it changes itself.

Whatever is sent, the answer is one of ours, and no client results that the realm does not allow.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from oidcgate.settings import parse
from provider.client_settings import ClientSettings
from provider.services.client_metadata import COMPOSED, MEMBERS
from provider.services.registration_policy import policy_checks
from tests.provider.asserting import key, public
from tests.provider.bad_input.mutations import CANARY
from tests.provider.bad_input.watching import problem_of, written
from tests.provider.registering import CALLBACK, bearer, initial_token, registered, registering
from tests.provider.sign_in.test_authorize_parameters import REDIRECTS
from tests.provider.world import World, copy_database, error_of

HOST = "new.example"
POLICY = {"application_types": ["web", "native"], "redirect_hosts": [HOST, "app.example.com"]}
METADATA, URI = "invalid_client_metadata", "invalid_redirect_uri"
KEYS = public(key("RSA"))
URIS = [member for member in MEMBERS if member.endswith(("_uri", "_uris"))]


@pytest.fixture(scope="module")
def world(made_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider for all of this module, which lets applications of two hosts register."""
    path = copy_database(made_database, tmp_path_factory.mktemp("registration") / "provider.db")
    made = registering(path, registration=POLICY, scopes=[{"value": "orders"}])
    yield made
    made.provider.parts.store.dispose()


@pytest.fixture(scope="module")
def token(world: World) -> str:
    return initial_token(world)


@pytest.fixture(scope="module")
def told(world: World) -> dict[str, Any]:
    """An application that will try to change itself."""
    return registered(world)


def send(world: World, method: str, path: str, token: str, body: bytes, **options: Any) -> TestResponse:
    options = {"content_type": "application/json", **options}
    return world.browser().open(path, method=method, data=body, headers=bearer(token), **options)


def ways(world: World, token: str, told: dict[str, Any], metadata: object) -> Iterator[TestResponse]:
    """The answers to a new application that says this, and to one that says it from now on."""
    yield send(world, "POST", "/register", token, json.dumps(metadata).encode())
    if isinstance(metadata, dict):
        metadata = {**metadata, "client_id": told["client_id"]}
    path = f"/register?client_id={told['client_id']}"
    yield send(world, "PUT", path, told["registration_access_token"], json.dumps(metadata).encode())


def wrong(**members: Any) -> dict[str, Any]:
    return {"redirect_uris": [CALLBACK], **members}


def one(member: str, value: str) -> dict[str, Any]:
    """A value for a member that is an address or a list of them."""
    return wrong(**{member: [value] if member.endswith("s") else value})


FORBIDDEN = [
    pytest.param({}, URI, id="nowhere-to-answer"),
    pytest.param({"redirect_uris": []}, URI, id="no-redirect-uri"),
    pytest.param({"redirect_uris": CALLBACK}, URI, id="redirect-uri-string"),
    pytest.param({"redirect_uris": [5]}, URI, id="redirect-uri-number"),
    pytest.param({"redirect_uris": [None]}, URI, id="redirect-uri-null"),
    pytest.param({"redirect_uris": [[CALLBACK]]}, URI, id="redirect-uri-nested"),
    pytest.param({"redirect_uris": {"0": CALLBACK}}, URI, id="redirect-uri-object"),
    pytest.param({"redirect_uris": [f"https://{HOST}/{n}" for n in range(21)]}, URI, id="many"),
    pytest.param({"redirect_uris": ["x"] * 3000}, URI, id="very-many"),
    pytest.param({"redirect_uris": [f"{CALLBACK}#f"]}, URI, id="fragment"),
    pytest.param({"redirect_uris": [f"{CALLBACK}#"]}, URI, id="empty-fragment"),
    pytest.param({"redirect_uris": [f"https://*.{HOST}/"]}, URI, id="wildcard"),
    pytest.param({"redirect_uris": [f"https://{HOST}/a/../b"]}, URI, id="dot-segments"),
    pytest.param({"redirect_uris": ["https://localhost/cb"]}, URI, id="localhost"),
    pytest.param({"redirect_uris": ["http://127.0.0.1/cb"]}, URI, id="web-on-loopback"),
    pytest.param({"redirect_uris": ["com.example.app:/cb"]}, URI, id="web-with-a-scheme-of-its-own"),
    pytest.param(
        {"redirect_uris": ["http://10.0.0.1/cb"], "application_type": "native"}, URI, id="native-by-http"
    ),
    pytest.param(
        {"redirect_uris": ["app:/cb"], "application_type": "native"}, URI, id="native-scheme-of-nobody"
    ),
    pytest.param(
        {"redirect_uris": ["com.example:///x"], "application_type": "native"}, URI, id="native-authority"
    ),
    pytest.param(
        wrong(application_type="native", response_types=["id_token"]), METADATA, id="native-implicit"
    ),
    pytest.param(wrong(application_type="service"), METADATA, id="application-type"),
    pytest.param(wrong(application_type=["web"]), METADATA, id="application-type-list"),
    pytest.param(wrong(client_name="x" * 201), METADATA, id="long-name"),
    pytest.param(wrong(client_name="a\u202eb"), METADATA, id="name-from-right-to-left"),
    pytest.param(wrong(client_name="a\x00b"), METADATA, id="name-with-nul"),
    pytest.param(wrong(client_name={"de": "x"}), METADATA, id="name-object"),
    pytest.param(wrong(token_endpoint_auth_method="tls_client_auth"), METADATA, id="auth-method"),
    pytest.param(wrong(token_endpoint_auth_method=7), METADATA, id="auth-method-number"),
    pytest.param(wrong(token_endpoint_auth_method="private_key_jwt"), METADATA, id="no-keys"),
    pytest.param(wrong(token_endpoint_auth_method=""), METADATA, id="auth-method-empty"),
    *(
        pytest.param(wrong(grant_types=[grant]), METADATA, id=f"grant-{grant.rpartition(':')[2]}")
        for grant in (
            "implicit", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:jwt-bearer", "introspection", "revocation", "hybrid", "",
        )
    ),
    *(
        pytest.param(wrong(response_types=[kind]), METADATA, id=f"response-{kind.replace(' ', '-')}")
        for kind in ("id_token", "token", "code id_token", "code token", "none", "")
    ),
    pytest.param(wrong(response_types=["code", "id_token"]), METADATA, id="one-response-type-of-two"),
    pytest.param(wrong(scope="openid orders"), METADATA, id="scope-of-the-realm-not-of-the-policy"),
    pytest.param(wrong(scope="openid nothing"), METADATA, id="unknown-scope"),
    pytest.param(wrong(scope="*"), METADATA, id="every-scope"),
    pytest.param(wrong(scope=["openid"]), METADATA, id="scope-list"),
    pytest.param(wrong(grant_types=["authorization_code", "refresh_token"], scope="openid"), METADATA,
                 id="refresh-without-offline-access"),
    pytest.param(wrong(id_token_signed_response_alg="none"), METADATA, id="unsigned"),
    pytest.param(wrong(id_token_signed_response_alg="ES512"), METADATA, id="alg-not-offered"),
    pytest.param(wrong(id_token_signed_response_alg=["RS256"]), METADATA, id="alg-list"),
    pytest.param(
        wrong(id_token_signed_response_alg="HS256", token_endpoint_auth_method="none"), METADATA,
        id="hmac-of-a-public-client",
    ),
    pytest.param(wrong(token_endpoint_auth_signing_alg="none"), METADATA, id="assertion-unsigned"),
    pytest.param(
        wrong(token_endpoint_auth_method="private_key_jwt", jwks=KEYS,
              token_endpoint_auth_signing_alg="HS256"),
        METADATA, id="assertion-by-hmac",
    ),
    pytest.param(wrong(id_token_encrypted_response_enc="A128GCM"), METADATA, id="enc-without-alg"),
    pytest.param(
        wrong(id_token_encrypted_response_alg="RSA1_5", jwks_uri=f"https://{HOST}/k"), METADATA, id="rsa1_5"
    ),
    pytest.param(
        wrong(id_token_encrypted_response_alg="PBES2-HS256+A128KW", jwks_uri=f"https://{HOST}/k"),
        METADATA, id="pbes2",
    ),
    pytest.param(wrong(jwks=KEYS, jwks_uri=f"https://{HOST}/k"), METADATA, id="keys-twice"),
    pytest.param(wrong(jwks={"keys": []}), METADATA, id="no-key-in-the-set"),
    pytest.param(wrong(jwks={"keys": [{"kty": "oct", "k": "eA"}]}), METADATA, id="a-secret-among-the-keys"),
    pytest.param(wrong(jwks={"keys": {"kty": "RSA"}}), METADATA, id="keys-object"),
    pytest.param(wrong(jwks=[KEYS]), METADATA, id="jwks-list"),
    pytest.param(wrong(jwks="https://new.example/k"), METADATA, id="jwks-string"),
    pytest.param(
        wrong(jwks={"keys": [key("RSA").export(private_key=True, as_dict=True)]}), METADATA, id="private-key"
    ),
    pytest.param(wrong(frontchannel_logout_uri="https://other.example/"), METADATA, id="frame-of-a-stranger"),
    pytest.param(wrong(backchannel_logout_session_required="true"), METADATA, id="boolean-string"),
    *(
        pytest.param(one(member, uri), URI if member == "redirect_uris" else METADATA, id=f"{member}-{name}")
        for member in URIS
        for name, uri in {
            "javascript": "javascript:alert(1)",
            "javascript-case": "JaVaScRiPt://new.example/%0aalert(1)",
            "data": "data:text/html,<script>alert(1)</script>",
            "http": f"http://{HOST}/x",
            "user-info": f"https://a@{HOST}/x",
            "relative": "/cb",
            "control": f"https://{HOST}/\r\nX-Injected: yes",
            "long": f"https://{HOST}/{'x' * 2048}",
            "loopback": "http://localhost:8080/x",
        }.items()
    ),
    *(
        pytest.param(wrong(**{member: value}), URI if member == "redirect_uris" else METADATA,
                     id=f"{member}-{json.dumps(value)[:3]}")
        for member in URIS
        for value in (1, True, {"a": 1}, [["x"]])
    ),
]  # fmt: skip


@pytest.mark.row("P-01", "P-03", "P-13")
@pytest.mark.parametrize(("metadata", "error"), FORBIDDEN)
def test_what_nobody_registers_and_nobody_becomes(
    world: World, token: str, told: dict[str, Any], metadata: dict[str, Any], error: str
) -> None:
    before = world.rows("clients")
    with written(world.events) as log:
        for response in ways(world, token, told, metadata):
            assert error_of(response) == (400, error), response.text
            member, colon, _ = response.get_json()["error_description"].partition(":")
            assert colon
            assert set(member.partition("[")[0].split(" and ")) <= {*MEMBERS, *sum(COMPOSED.values(), ())}
            assert problem_of(response, ()) is None
        assert log.holding([token, told["registration_access_token"]]) is None
    assert world.rows("clients") == before


@pytest.mark.row("P-01", "P-03")
@pytest.mark.parametrize("application_type", ["web", "native"])
def test_no_line_of_the_redirect_list_is_registered(
    world: World, token: str, told: dict[str, Any], application_type: str
) -> None:
    for uri in REDIRECTS:
        for member in ("redirect_uris", "post_logout_redirect_uris"):
            metadata = {"redirect_uris": [CALLBACK], member: [uri], "application_type": application_type}
            for response in ways(world, token, told, metadata):
                # The one that is on a host that may be.
                due = 400 if uri != "https://app.example.com:8443/" else response.status_code
                assert response.status_code == due, (uri, response.text)
                assert response.status_code < 500


BODIES = [
    pytest.param(b"", {}, 400, id="empty"),
    pytest.param(b"[]", {}, 400, id="array"),
    pytest.param(b'{"redirect_uris": ["https://new.example/cb"]', {}, 400, id="cut"),
    pytest.param(b'{"scope": "openid", "scope": "email"}', {}, 400, id="a-member-twice"),
    pytest.param(b'{"jwks": {"keys": [{"kty": "RSA", "kty": "oct"}]}}', {}, 400, id="an-inner-member-twice"),
    pytest.param(b'{"jwks":' + b"[" * 8000 + b"]" * 8000 + b"}", {}, 400, id="deep"),
    pytest.param(b'{"a":' * 2000 + b"1" + b"}" * 2000, {}, 400, id="deep-objects"),
    pytest.param(json.dumps({"x": ["\u00e9" * 90_000]}).encode(), {}, 413, id="too-long"),
    pytest.param(json.dumps({"x": "y" * 17_000}).encode(), {}, 400, id="longer-than-the-policy"),
    pytest.param(b'{"x": 1e999}', {}, 400, id="number-too-large"),
    pytest.param(b'{"default_max_age": ' + b"9" * 5000 + b"}", {}, 400, id="digits"),
    pytest.param(b'{"a": NaN}', {}, 400, id="nan"),
    pytest.param(b"\xff\xfe{}", {}, 400, id="utf-16"),
    pytest.param(b'{"client_name": "\xed\xa0\x80"}', {}, 400, id="lone-surrogate"),
    pytest.param(b'{"client_name": "\\ud800"}', {}, 400, id="escaped-surrogate"),
    pytest.param(b"{}", {"content_type": "application/x-www-form-urlencoded"}, 400, id="form"),
    pytest.param(b"{}", {"content_type": "text/plain"}, 400, id="text"),
    pytest.param(b"{}", {"content_type": ""}, 400, id="no-type"),
    pytest.param(b"{}", {"content_type": "application/jsonx"}, 400, id="nearly-the-type"),
    pytest.param(
        b"{}",
        {"environ_overrides": {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}},
        400,
        id="length-not-said",
    ),
]


@pytest.mark.parametrize(("body", "options", "status"), BODIES)
def test_bodies_that_are_no_document(
    world: World, token: str, told: dict[str, Any], body: bytes, options: dict[str, Any], status: int
) -> None:
    before = world.rows("clients")
    path = f"/register?client_id={told['client_id']}"
    for response in (
        send(world, "POST", "/register", token, body, **options),
        send(world, "PUT", path, told["registration_access_token"], body, **options),
    ):
        assert error_of(response) == (status, "invalid_request"), response.text
        assert problem_of(response, ()) is None
    assert world.rows("clients") == before


@pytest.mark.parametrize(
    "query",
    ["", "client_id=", "client_id=app", "client_id=%00", "client_id=%ff", "client_id=" + "x" * 5000,
     "client_id={0}&client_id={0}", "client_id={0}%20", "CLIENT_ID={0}", "client_id[]={0}", "x=1&" * 60,
     "client_id=" + "x" * 40_000, "client_id=%3Cscript%3E"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_clients_that_are_none(world: World, told: dict[str, Any], query: str, method: str) -> None:
    path = f"/register?{query.replace('{0}', told['client_id'])}"
    response = send(world, method, path, told["registration_access_token"], b"{}")
    assert error_of(response) in ((401, "invalid_token"), (400, "invalid_request"))
    assert problem_of(response, ()) is None
    assert world.browser().get("/register?client_id=" + told["client_id"]).status_code == 401


@pytest.mark.row("P-15")
@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer \u00e9", "Bearer " + "x" * 60_000, "Bearer a,b", "Basic Og==",
     "bearer <script>", "Bearer %00", 'Bearer "x"', "Bearer ..", "Bearer {0}x", "Bearer {0}, Bearer {0}",
     "{0}", "Bearer\t{0}", "Digest {0}", ""],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
def test_tokens_that_are_none(
    world: World, token: str, told: dict[str, Any], header: str, method: str
) -> None:
    before, path = world.rows("clients"), f"/register?client_id={told['client_id']}"
    text = header.replace("{0}", token if method == "POST" else told["registration_access_token"])
    with written(world.events) as log:
        response = world.browser().open(
            "/register" if method == "POST" else path,
            method=method,
            json={"redirect_uris": [CALLBACK]},
            headers={"Authorization": text},
        )
        assert log.holding([token, told["registration_access_token"]]) is None
    assert error_of(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="https://id.example"')
    assert problem_of(response, ()) is None
    assert world.rows("clients") == before


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", "code", "code id_token", "authorization_code", "refresh_token", "implicit", "client_credentials",
     "none", "client_secret_post", "private_key_jwt", "client_secret_jwt", "RS256", "HS256", "HS512",
     "RSA-OAEP-256", "A128GCM", "web", "native", "openid email", "openid offline_access", "*", CALLBACK,
     "https://new.example/k", "http://127.0.0.1/cb", "com.example.app:/cb", "pairwise", "public",
     "javascript:alert(1)", f"https://evil.example/{CANARY}"]
)  # fmt: skip
ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    ATOMS | st.just(KEYS),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=2),
)
NAMES = st.sampled_from([*MEMBERS, *sum(COMPOSED.values(), ())]) | st.sampled_from(
    ["client_name#de", "trusted", "flows", "auth_method", "client_secret", "id_token_claims", "software_id"]
)
LIKELY = st.fixed_dictionaries(
    {"redirect_uris": st.lists(st.sampled_from([CALLBACK, "https://new.example/2"]), max_size=2)},
    optional={
        "token_endpoint_auth_method": TEXTS,
        "grant_types": st.lists(TEXTS, max_size=3),
        "application_type": st.sampled_from(["web", "native"]),
        "jwks": st.just(KEYS),
        "scope": TEXTS,
    },
)


def beyond_the_policy(world: World) -> list[str]:
    """What is wrong with a client of the database, by the rules of every client and by those of the realm."""
    realm, found = world.realm, []
    parts = world.provider.parts
    with parts.store.read() as conn:
        for one_of in parts.clients.list(conn, realm):
            if one_of.read_only:
                continue
            values = {
                name: getattr(one_of, name)
                for name in vars(ClientSettings(client_id="?"))
                if hasattr(one_of, name)
            }
            if one_of.secret_hash is not None:
                values["client_secret_sha256"] = one_of.secret_hash
            plain = ClientSettings(**values)
            for check in policy_checks(realm.settings.registration, realm.settings.scope_names, realm.issuer):
                found += [f"{problem.key}: {problem.message}" for problem in check(plain)]
            if one_of.sealed_secret is None:
                parse(ClientSettings, values)
    return found


@pytest.mark.row("P-13")
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(likely=LIKELY, document=st.dictionaries(NAMES, VALUES, max_size=5))
@example(likely={"redirect_uris": [CALLBACK]}, document={"jwks": {"keys": [{"kty": "RSA", "n": 1, "e": []}]}})
@example(likely={"redirect_uris": [CALLBACK]}, document={"jwks": {"keys": [None]}})
@example(likely={"redirect_uris": [CALLBACK]}, document={"token_endpoint_auth_method": "client_secret_jwt"})
@example(likely={"redirect_uris": [CALLBACK]}, document={"id_token_signed_response_alg": "HS256"})
def test_whatever_is_said_no_client_is_beyond_the_policy(
    world: World, token: str, told: dict[str, Any], likely: dict[str, Any], document: dict[str, Any]
) -> None:
    for response in ways(world, token, told, {**likely, **document}):
        assert response.status_code in (200, 201, 400), response.text
        assert problem_of(response, ()) is None
        if response.status_code == 201:
            assert beyond_the_policy(world) == []
            made = response.get_json()
            path = f"/register?client_id={made['client_id']}"
            assert send(world, "DELETE", path, made["registration_access_token"], b"").status_code == 204
    assert beyond_the_policy(world) == []


def test_nothing_was_changed_by_all_this(world: World) -> None:
    """What is there may be there: the one that tried to change, and the line that is on a host of ours."""
    assert world.rows("clients")
    assert beyond_the_policy(world) == []
