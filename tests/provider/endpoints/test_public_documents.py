"""Discovery, key set and health: what they say, who may read them, what may be kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from authlib.oidc.discovery import OpenIDProviderMetadata
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as Browser

from provider.store.schema import keys
from tests.provider.world import ISSUER, World

METADATA = "/.well-known/openid-configuration"
RFC_8414 = "/.well-known/oauth-authorization-server"


@pytest.mark.row("S-17", "E-05", "E-25")
def test_discovery_says_what_there_is(world: World) -> None:
    response = world.browser().get(METADATA)

    assert response.status_code == 200
    assert response.content_type == "application/json"
    document = response.get_json()
    OpenIDProviderMetadata(document).validate()
    assert document["issuer"] == ISSUER
    assert document["response_types_supported"] == [
        "code",
        "id_token",
        "id_token token",
        "code id_token",
        "code token",
        "code id_token token",
    ]
    assert document["grant_types_supported"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "urn:ietf:params:oauth:grant-type:device_code",
        "implicit",
    ]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt",
        "none",
    ]
    algorithms = document["token_endpoint_auth_signing_alg_values_supported"]
    assert {"RS256", "PS256", "ES256", "Ed25519", "HS256"} <= set(algorithms)
    assert "none" not in algorithms
    for what in ("id_token", "userinfo"):
        assert {"RSA-OAEP-256", "ECDH-ES"} <= set(document[f"{what}_encryption_alg_values_supported"])
        assert "A128CBC-HS256" in document[f"{what}_encryption_enc_values_supported"]
    assert document["userinfo_signing_alg_values_supported"] == ["RS256"]
    assert document["request_parameter_supported"] is False
    assert document["request_uri_parameter_supported"] is False
    assert document["authorization_response_iss_parameter_supported"] is True
    methods = document["token_endpoint_auth_methods_supported"]
    assert document["revocation_endpoint_auth_methods_supported"] == methods
    assert document["introspection_endpoint_auth_methods_supported"] == methods[:-1]
    for endpoint in ("introspection_endpoint", "revocation_endpoint"):
        algorithms = document[f"{endpoint}_auth_signing_alg_values_supported"]
        assert algorithms == document["token_endpoint_auth_signing_alg_values_supported"]
    absent = ("registration_endpoint", "check_session_iframe")
    assert not document.keys() & set(absent)


def _of_objects(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if "request_" in name or "_request" in name}


def test_request_objects_are_said_as_they_are_taken(database: Path) -> None:
    off = World.over(database).browser().get(METADATA).get_json()
    assert _of_objects(off) == {
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
    }
    objects = {"by_value": True, "encryption_algorithms": ["ECDH-ES"], "insecure_allow_unsigned": True}
    said = _of_objects(World.over(database, request_objects=objects).browser().get(METADATA).get_json())
    assert said["request_object_signing_alg_values_supported"][-1] == "none"
    assert {"RS256", "ES256", "HS256"} <= set(said["request_object_signing_alg_values_supported"])
    assert said["request_object_encryption_alg_values_supported"] == ["ECDH-ES"]
    assert "A128CBC-HS256" in said["request_object_encryption_enc_values_supported"]
    assert (said["request_parameter_supported"], said["request_uri_parameter_supported"]) == (True, False)
    assert said["require_request_uri_registration"] is said["require_signed_request_object"] is False
    objects = {"by_reference": True, "require_signed": True}
    said = _of_objects(World.over(database, request_objects=objects).browser().get(METADATA).get_json())
    assert "none" not in said.pop("request_object_signing_alg_values_supported")
    assert said == {
        "request_parameter_supported": False,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "require_signed_request_object": True,
    }


@pytest.mark.row("E-23")
def test_nobody_registers_an_application_by_asking(world: World) -> None:
    assert "registration_endpoint" not in world.browser().get(METADATA).get_json()
    assert (
        world.browser().post("/register", json={"redirect_uris": ["https://new.example/cb"]}).status_code
        == 404
    )


@pytest.mark.row("S-17")
def test_every_endpoint_that_discovery_names_is_there(world: World) -> None:
    document = world.browser().get(METADATA).get_json()
    urls = [value for name, value in document.items() if name.endswith(("_endpoint", "jwks_uri"))]
    assert len(urls) == 8
    for url in urls:
        assert url.startswith(f"{ISSUER}/")
        assert world.browser().open(url.removeprefix(ISSUER), method="OPTIONS").status_code == 204


@pytest.mark.row("S-17")
@pytest.mark.parametrize("path", [METADATA, RFC_8414, "/jwks"])
def test_public_documents_are_readable_by_all_and_may_be_kept(world: World, path: str) -> None:
    response = world.browser().get(path)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"].startswith("public, max-age=")
    assert response.headers["Content-Length"] == str(len(response.data))
    head = world.browser().head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == response.headers["Content-Length"]
    preflight = world.browser().options(path)
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert preflight.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.row("S-15", "S-21")
@pytest.mark.parametrize("path", ["/token", "/userinfo", "/revoke"])
def test_a_script_may_call_what_looks_at_no_cookie(world: World, path: str) -> None:
    """A single-page app of any origin; the browser asks first, because of the Authorization header."""
    asked = world.browser().options(path, headers={"Origin": "https://spa.example"}).headers
    answered = world.post(path, {"a": "b"}, headers={"Origin": "https://spa.example"})

    assert asked["Access-Control-Allow-Headers"] == "Authorization"
    assert "POST" in asked["Access-Control-Allow-Methods"]
    # Errors are readable too, so that the app can tell what is wrong.
    assert answered.status_code in (400, 401)
    for headers in (asked, answered.headers):
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("path", ["/authorize", "/login", "/consent", "/introspect", "/end_session"])
def test_what_a_browser_shows_or_a_server_asks_is_for_no_script(world: World, path: str) -> None:
    headers = {"Origin": "https://spa.example"}
    for response in (world.browser().options(path, headers=headers), world.post(path, {}, headers=headers)):
        assert not [name for name in response.headers.keys() if name.startswith("Access-Control-")]  # noqa: SIM118 (no dict)


@pytest.mark.row("S-17", "S-25")
@pytest.mark.parametrize("mounted", [False, True], ids=["at-the-root", "mounted"])
def test_an_issuer_with_a_path(database, mounted: bool) -> None:
    issuer = "https://host.example/tenant/id"
    provider = World.over(database, issuer=issuer).provider
    app = (
        DispatcherMiddleware(_nothing, {"/tenant/id": provider, RFC_8414: provider}) if mounted else provider
    )
    browser = Browser(app)

    document = browser.get(f"/tenant/id{METADATA}").get_json()
    assert document["issuer"] == issuer
    assert document["jwks_uri"] == f"{issuer}/jwks"
    assert browser.get(f"{RFC_8414}/tenant/id").get_json() == document
    assert browser.get("/tenant/id/jwks").status_code == 200
    for path in (
        METADATA,
        RFC_8414,
        "/jwks",
        "/tenant/idx/jwks",
        f"{RFC_8414}/tenant",
        f"/tenant/id/{RFC_8414}/x",
    ):
        assert browser.get(path).status_code == 404


def _nothing(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"nothing here"]


def test_the_key_set_is_public_only(world: World) -> None:
    document = world.browser().get("/jwks").get_json()
    (key,) = document["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg", "x5c", "x5t", "x5t#S256"}
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


def test_health_and_readiness(world: World) -> None:
    assert world.browser().get("/healthz").get_json() == {"status": "ok"}
    assert world.browser().get("/readyz").get_json() == {"status": "ok"}


def test_not_ready_without_the_secret_that_sealed_the_key(database, world: World) -> None:
    with world.provider.parts.store.begin() as conn:
        conn.execute(keys.update().values(sealed_private="AAAA"))
    response = world.browser().get("/readyz")
    assert (response.status_code, response.get_json()["part"]) == (503, "signing_key")


@pytest.mark.row("S-24")
def test_switched_off_only_health_answers(database) -> None:
    world = World.over(database, enabled=False)
    for path in (METADATA, RFC_8414, "/jwks", "/authorize", "/userinfo", "/login", "/end_session"):
        assert world.browser().get(path).status_code == 404
    assert world.post("/token", {"a": "b"}).status_code == 404
    assert world.browser().get("/healthz").status_code == 200
    assert world.browser().get("/readyz").status_code == 200


def test_the_document_is_the_same_bytes_each_time(world: World) -> None:
    first, second = world.browser().get(METADATA), world.browser().get(METADATA)
    assert first.data == second.data
    assert json.loads(first.data)
