"""What the provider reads as a signed token, forged in every way: hints, assertions, access tokens, requests.

One table of forgeries for all readers. Each reader first takes the same token in its good form from the same
hands, so that what it refuses is refused for the forgery.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import TestResponse

from oidcgate.jose.keys import Key
from provider.realm import Realm
from tests.provider.asserting import JWT_BEARER, key, public
from tests.provider.bad_input.forging import ENDS, FORGERIES, Forge, hs256, with_x
from tests.provider.bad_input.watching import problem_of
from tests.provider.endpoints.apis import CLIENTS, ORDERS, as_client, robot, world_with_apis
from tests.provider.sign_in.objects import OURS, TAKEN, asked, beside, signed
from tests.provider.sign_in.objects import clients as sending_clients
from tests.provider.sign_in.place import BYE, CALLBACK, ISSUER, Browser, authorize_url
from tests.provider.sign_in.place import World as Place
from tests.provider.world import World, copy_database, error_of

STRANGE = rsa.generate_private_key(65537, 2048)
SECRET = "jwt-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4ExA"


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, unverified."""
    head, body, _ = token.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body))


def rsa_of(key: Key) -> rsa.RSAPrivateKey:
    private: Any = key.private_key
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


def forge_of(world: World | Place, token: str) -> Forge:
    """A forge around a token that the first realm gave; the second one stands by."""
    parts = world.provider.parts

    def signer(realm: Realm) -> Any:
        with parts.store.begin() as conn:
            return parts.keys.signer(conn, realm, "RS256", world.now)

    ours, other = signer(parts.realms[0]), signer(parts.realms[1])
    header, claims = parts_of(token)
    return Forge(header, claims, rsa_of(ours.key), STRANGE, rsa_of(other.key), other.kid)


# Access tokens


@pytest.fixture(scope="module")
def apis(made_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider with APIs, two realms, and clients with keys and with a secret for assertions."""
    signers = [
        {"client_id": "signer", "auth_method": "private_key_jwt", "jwks": public(key("RSA")),
         "flows": ["client_credentials"], "scopes": ["*"]},
        {"client_id": "hasher", "auth_method": "client_secret_jwt", "client_secret": SECRET,
         "flows": ["client_credentials"], "scopes": ["*"]},
    ]  # fmt: skip
    path = copy_database(made_database, tmp_path_factory.mktemp("forged") / "provider.db")
    world = world_with_apis(path, clients=[*CLIENTS, *signers], realms=[{"name": "second"}])
    yield world
    world.provider.parts.store.dispose()


def _introspected(world: World, token: str) -> TestResponse:
    return as_client(world, "inspector", "/introspect", token=token)


def _person_token(world: World) -> str:
    """A token of a person for an API that gets JWTs."""
    form = {"grant_type": "password", "username": "alice", "password": "demo-alice"}
    response = as_client(world, "till", "/token", **form, scope="orders.read", resource=ORDERS)
    assert response.status_code == 200, response.text
    return str(response.get_json()["access_token"])


ACCESS: dict[str, Callable[[Forge], str]] = {
    **FORGERIES,
    **ENDS,
    "type-of-an-id-token": lambda f: f.headed(typ="JWT"),
    "type-missing": lambda f: f.headed(typ=None),
    "type-of-a-logout-token": lambda f: f.headed(typ="logout+jwt"),
    "type-a-list": lambda f: f.headed(typ=["at+jwt"]),
    "jti-missing": lambda f: f.saying(jti=None),
    "jti-an-object": lambda f: f.saying(jti={}),
    "client-missing": lambda f: f.saying(client_id=None),
    "client-a-list": lambda f: f.saying(client_id=["robot"]),
    "client-unknown": lambda f: f.saying(client_id="nobody"),
    "client-with-nul": lambda f: f.saying(client_id="robot\0"),
    "scope-a-list": lambda f: f.saying(scope=["orders.read"]),
    "aud-a-list-of-the-right-one": lambda f: f.saying(aud=[ORDERS]),
    "iat-missing": lambda f: f.saying(iat=None),
}


@pytest.mark.row("P-14", "P-08", "E-12")
@pytest.mark.parametrize("id", ACCESS)
def test_no_forged_access_token_is_believed(apis: World, id: str) -> None:
    good = robot(apis, resource=ORDERS).get_json()["access_token"]
    forge = forge_of(apis, good)
    assert _introspected(apis, forge.token()).get_json()["active"] is True
    token = ACCESS[id](forge)
    told = _introspected(apis, token)
    assert (told.status_code, told.get_json()) == (200, {"active": False})
    shown = apis.browser().post("/userinfo", data={"access_token": token})
    assert error_of(shown) == (401, "invalid_token")
    # A forger who could give back what is not theirs could stop it.
    assert as_client(apis, "robot", "/revoke", token=token).status_code == 200
    assert _introspected(apis, good).get_json()["active"] is True
    assert [problem_of(one, ()) for one in (told, shown)] == [None, None]


def test_an_access_token_for_an_api_is_none_for_userinfo(apis: World) -> None:
    shown = apis.browser().post("/userinfo", data={"access_token": _person_token(apis)})
    assert error_of(shown) == (403, "insufficient_scope")


# Client assertions


def _claims(world: World, client_id: str, jti: str) -> dict[str, Any]:
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "jti": jti,
        "iat": world.now,
        "exp": world.now + 60,
    }


def _present(world: World, assertion: str) -> TestResponse:
    form = {
        "grant_type": "client_credentials",
        "scope": "reports",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": assertion,
    }
    return world.post("/token", form)


ASSERTED: dict[str, Callable[[Forge], str]] = {
    **FORGERIES,
    **ENDS,
    "type-of-an-access-token": lambda f: f.headed(typ="at+jwt"),
    "type-of-a-logout-token": lambda f: f.headed(typ="logout+jwt"),
    "type-a-number": lambda f: f.headed(typ=1),
    "jti-missing": lambda f: f.saying(jti=None),
    "jti-a-number": lambda f: f.saying(jti=1),
    "jti-too-long": lambda f: f.saying(jti="x" * 256),
    "jti-with-nul": lambda f: f.saying(jti="a\0"),
    "aud-empty": lambda f: f.saying(aud=[]),
    "sub-of-another-client": lambda f: f.saying(iss="robot", sub="robot"),
    "sub-with-nul": lambda f: f.saying(iss="signer\0", sub="signer\0"),
}


@pytest.mark.row("P-14", "P-07", "P-08", "S-02")
@pytest.mark.parametrize("id", ASSERTED)
def test_no_forged_assertion_proves_anything(apis: World, id: str) -> None:
    jti = f"{id}-good"
    private: Any = key("RSA")
    signing = jwk_private(private)
    other = forge_of(apis, robot(apis, resource=ORDERS).get_json()["access_token"])
    header = {"alg": "RS256", "kid": "k1"}
    forge = Forge(header, _claims(apis, "signer", jti), signing, STRANGE, other.private, other.header["kid"])
    refused = _present(apis, ASSERTED[id](forge))
    assert error_of(refused) == (401, "invalid_client"), refused.text
    assert problem_of(refused, ()) is None
    # Nothing of it was used up: the true one with the same jti is good now, and once.
    assert _present(apis, forge.token()).status_code == 200
    assert error_of(_present(apis, forge.token())) == (401, "invalid_client")


def jwk_private(private: Any) -> rsa.RSAPrivateKey:
    made = private.get_op_key("sign")
    assert isinstance(made, rsa.RSAPrivateKey)
    return made


# What is a secret at one client is no proof at another, and no key is a secret.
_OF_KEYS = ("pss", "rs512", "sha512", "kid", "our-key")
BY_SECRET = {id: forged for id, forged in FORGERIES.items() if not id.startswith(_OF_KEYS)}


@pytest.mark.row("P-14", "P-07", "S-02")
@pytest.mark.parametrize("id", [*BY_SECRET, "hs512", "secret-of-another", "secret-in-other-case"])
def test_no_forged_assertion_under_a_secret_proves_anything(apis: World, id: str) -> None:
    other = forge_of(apis, robot(apis, resource=ORDERS).get_json()["access_token"])
    said = _claims(apis, "hasher", f"{id}-secret")
    forge = Forge({"alg": "HS256", "kid": "x"}, said, other.private, STRANGE, other.other_realm, "y")
    forged = {
        "hs512": lambda f: f.headed(hs256(SECRET.encode()), alg="HS512"),
        "secret-of-another": lambda f: f.token(sign=hs256(b"till-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4ExA")),
        "secret-in-other-case": lambda f: f.token(sign=hs256(SECRET.swapcase().encode())),
        **BY_SECRET,
    }[id]
    assert error_of(_present(apis, forged(forge))) == (401, "invalid_client")
    assert _present(apis, forge.token(sign=hs256(SECRET.encode()))).status_code == 200


# ID tokens that come back


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Browser, Forge]]:
    """A provider, a browser in which Alice is signed in, and a forge around her ID token."""
    world = Place.make(tmp_path_factory.mktemp("hints"), realms=[{"name": "second"}])
    browser = world.browser()
    token = world.tokens(browser.signed_in("trusted"))["id_token"]
    yield world, browser, forge_of(world, token)
    world.close()


HINTS: dict[str, Callable[[Forge], str]] = {
    **FORGERIES,
    "type-of-an-access-token": lambda f: f.headed(typ="at+jwt"),
    "type-of-a-logout-token": lambda f: f.headed(typ="logout+jwt"),
    "type-a-list": lambda f: f.headed(typ=["JWT"]),
    "a-logout-token-by-its-claims": lambda f: f.saying(events={}),
    "sid-a-number": lambda f: f.saying(sid=1),
    "sid-an-object": lambda f: f.saying(sid={}),
}


@pytest.mark.row("P-14", "P-08", "P-30", "E-25", "S-19")
@pytest.mark.parametrize("id", HINTS)
def test_no_forged_hint_is_believed(place: tuple[Place, Browser, Forge], id: str) -> None:
    _, browser, forge = place
    asked = authorize_url("trusted", prompt="none", id_token_hint=forge.token())
    assert "code" in browser.step(asked).answer
    hint = HINTS[id](forge)
    refused = browser.step(authorize_url("trusted", prompt="none", id_token_hint=hint))
    assert refused.answer["error"] == "invalid_request"
    # By it nobody is signed out, and nobody led anywhere.
    url = authorize_url(None, id_token_hint=hint, post_logout_redirect_uri=BYE)
    page = browser.go(url.replace("/authorize?", "/end_session?"))
    assert (page.status, page.main_id, page.location) == (200, "page-logout", None), page.text[:300]
    assert problem_of(page.response, (f"{ISSUER}/",)) is None
    assert "code" in browser.step(asked).answer


# Request objects


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Browser]]:
    """A provider that takes objects in every way, and a browser in which Alice is signed in."""
    taken = {**TAKEN, "encryption_algorithms": ["RSA-OAEP", "RSA-OAEP-256"]}
    clients = [one for one in sending_clients() if one["client_id"] in ("signer", "second")]
    clients[0] |= {
        "request_object_encryption_alg": "RSA-OAEP",
        "request_object_encryption_enc": "A128GCM",
    }
    world = Place.make(tmp_path_factory.mktemp("objects"), request_objects=taken, clients=clients)
    browser = world.browser()
    browser.sign_in(browser.go(beside(request=signed())))
    yield world, browser
    world.close()


OBJECTS: dict[str, Callable[[Forge], str]] = {
    # Of whom `sub` speaks is nothing to it, and it may do without an end.
    **{id: forged for id, forged in FORGERIES.items() if not id.startswith("sub-")},
    **{id: forged for id, forged in ENDS.items() if id != "exp-missing"},
    "type-of-an-access-token": lambda f: f.headed(typ="at+jwt"),
    "type-of-a-logout-token": lambda f: f.headed(typ="logout+jwt"),
    "type-of-an-assertion": lambda f: f.headed(typ="client-authentication+jwt"),
    "type-a-list": lambda f: f.headed(typ=["JWT"]),
    "an-assertion": lambda f: f.saying(sub="signer"),
    "client-of-another": lambda f: f.saying(client_id="second"),
    "client-a-list": lambda f: f.saying(client_id=["signer"]),
    "request-inside": lambda f: f.saying(request=f.token()),
    "redirect-uri-a-list": lambda f: f.saying(redirect_uri=[CALLBACK]),
    "redirect-uri-an-object": lambda f: f.saying(redirect_uri={"href": CALLBACK}),
    "claims-parameter-a-text": lambda f: f.saying(claims="{}"),
    "max-age-true": lambda f: f.saying(max_age=True),
    "max-age-huge": lambda f: f.token(claims=with_x({**f.claims, "max_age": 0}, b"9" * 5000)),
}  # fmt: skip
#: One who is asked for nothing in particular is asked by `client_id` inside.
_STILL_NAMED = {"iss-missing"}


@pytest.mark.row("P-14", "P-08", "P-02")
@pytest.mark.parametrize("id", [id for id in OBJECTS if id not in _STILL_NAMED])
def test_no_forged_request_object_is_followed(objects: tuple[Place, Browser], id: str) -> None:
    world, browser = objects
    other: Any = key("RSA", "second")
    forge = Forge(
        {"alg": "RS256", "kid": "ours"},
        {**asked("signer"), "exp": world.now + 60, "state": "inside"},
        jwk_private(OURS), STRANGE, jwk_private(other), "second",
    )  # fmt: skip
    assert browser.step(beside(request=forge.token())).answer["state"] == "inside"
    token = OBJECTS[id](forge)
    refused = browser.step(beside(request=token, redirect_uri=CALLBACK, state="outside"))
    assert refused.answer["error"] == "invalid_request_object", refused.answer
    assert refused.answer["state"] == "outside"
    page = browser.step(beside(request=token))
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)
    assert [problem_of(one.response, (CALLBACK,)) for one in (refused, page)] == [None, None]
