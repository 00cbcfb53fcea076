"""The endpoints that clients call themselves, and what a good request there is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from oidcgate.protocol.token import DEVICE_CODE
from tests.provider.asserting import claims, key, presenting, public, sign
from tests.provider.bad_input.oracle import (
    FINE,
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_REQUEST,
    INVALID_SCOPE,
    INVALID_TARGET,
    Door,
    Parameter,
    Told,
)
from tests.provider.world import (
    ALICE,
    ALICE_HASH,
    APP_SECRET,
    OTHER_SECRET,
    REDIRECT_URI,
    VERIFIER,
    World,
    basic,
)

API = "https://api.example"
SECOND_API = "https://api.second.example"
ELSEWHERE = "https://elsewhere.example"
OTHER_URI = "https://other.example/cb"
PASSWORD = "demo-alice"
ALL_FLOWS = [
    "authorization_code",
    "refresh_token",
    "password",
    "client_credentials",
    "device_code",
    "introspection",
    "revocation",
]


def _client(client_id: str, **changes: Any) -> dict[str, Any]:
    secret = (
        {} if changes.get("auth_method") in ("none", "private_key_jwt") else {"client_secret": APP_SECRET}
    )
    return {
        "client_id": client_id,
        "redirect_uris": [REDIRECT_URI],
        "flows": ALL_FLOWS,
        "scopes": ["*"],
        **secret,
        **changes,
    }


CLIENTS = [
    _client("app"),
    _client("post", auth_method="client_secret_post"),
    _client("signer", auth_method="private_key_jwt", jwks=public(key("RSA"))),
    _client("native", auth_method="none", flows=["authorization_code", "refresh_token", "device_code"]),
    _client("other", client_secret=OTHER_SECRET, redirect_uris=[OTHER_URI], auth_method="client_secret_post"),
]
PEOPLE = [{"user_name": "alice", "user_id": ALICE, "password_hash": ALICE_HASH}]


@dataclass
class Request:
    """A good request, not sent yet.

    Attributes:
        secrets: What of it must be written nowhere.
        strangers: Gives, by parameter, a true value of somebody else, by who it is.
    """

    fields: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    strangers: Callable[[], dict[str, dict[str, str]]] = dict


Make = Callable[[World], Request]
_OF_SECOND = {"grant_type": "client_credentials", "scope": "read", "resource": SECOND_API}
APP = {"Authorization": basic("app", APP_SECRET)}


def _in_realm(world: World, path: str, form: dict[str, str]) -> dict[str, Any]:
    response = world.post(f"/r/second{path}", form, headers=APP)
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def _code(world: World, of: str = "app", **by: str) -> Request:
    code = world.code(client_id=of)
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        **by,
    }
    headers = APP if of == "app" else {}
    return Request(fields, headers, (code, VERIFIER, APP_SECRET), partial(_codes_of_others, world, of))


def _codes_of_others(world: World, of: str) -> dict[str, dict[str, str]]:
    theirs = world.code(client_id="other", redirect_uri=OTHER_URI)
    second = world.code(realm=world.provider.parts.realms[1], client_id=of)
    stolen = sign(claims(world, "other", jti="stolen"), key("RSA"), "RS256")
    return {
        "code": {"client": theirs, "realm": second},
        "redirect_uri": {"client": OTHER_URI},
        "code_verifier": {"client": "w" * 43},
        "client_id": {"client": "other"},
        "client_secret": {"client": OTHER_SECRET},
        "client_assertion": {"client": stolen},
    }


_NUMBERS = count()


def _asserted(world: World) -> Request:
    jti = f"jti-{next(_NUMBERS)}"  # each is good once
    assertion = sign(claims(world, "signer", jti=jti), key("RSA"), "RS256")
    made = _code(world, "signer", **presenting(assertion))
    return Request(made.fields, {}, (*made.secrets, assertion), made.strangers)


def _refresh(world: World) -> Request:
    refresh_token = world.tokens()["refresh_token"]
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": "openid"}
    return Request(fields, APP, (refresh_token,), partial(_refreshed_by_others, world))


def _refreshed_by_others(world: World) -> dict[str, dict[str, str]]:
    form = {
        "grant_type": "authorization_code",
        "code": world.code(realm=world.provider.parts.realms[1]),
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
    }
    of = {
        "client": _tokens_of_other(world)["refresh_token"],
        "realm": _in_realm(world, "/token", form)["refresh_token"],
        "kind": world.tokens()["access_token"],
    }
    return {"refresh_token": of}


def _tokens_of_other(world: World) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": world.code(client_id="other", redirect_uri=OTHER_URI),
        "redirect_uri": OTHER_URI,
        "code_verifier": VERIFIER,
        "client_id": "other",
        "client_secret": OTHER_SECRET,
    }
    response = world.post("/token", form)
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def _password(world: World) -> Request:
    fields = {"grant_type": "password", "username": "alice", "password": PASSWORD, "scope": "openid"}
    return Request(fields, APP, (PASSWORD, APP_SECRET))


def _itself(world: World) -> Request:
    fields = {"grant_type": "client_credentials", "scope": "read", "resource": API}
    return Request(fields, APP, (APP_SECRET,))


def _device(world: World) -> Request:
    ours = _started(world, "app", APP_SECRET)
    fields = {"grant_type": DEVICE_CODE, "device_code": ours}
    return Request(fields, APP, (ours,), partial(_started_by_others, world))


def _started_by_others(world: World) -> dict[str, dict[str, str]]:
    second = _in_realm(world, "/device_authorization", {"scope": "openid"})["device_code"]
    return {"device_code": {"client": _started(world, "native", None), "realm": second}}


def _started(world: World, client_id: str, secret: str | None) -> str:
    headers = {} if secret is None else {"Authorization": basic(client_id, secret)}
    form = {"scope": "openid", **({"client_id": client_id} if secret is None else {})}
    response = world.post("/device_authorization", form, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.get_json()["device_code"])


def _starting(world: World) -> Request:
    fields = {"client_id": "native", "scope": "read", "resource": API}
    return Request(fields, {}, (), lambda: {"client_id": {"client": "app", "realm": "only-second"}})


def _query(world: World) -> Request:
    token = world.tokens()["refresh_token"]
    fields = {
        "token": token,
        "token_type_hint": "refresh_token",
        "client_id": "post",
        "client_secret": APP_SECRET,
    }
    return Request(fields, {}, (token, APP_SECRET), partial(_queried_by_others, world))


def _queried_by_others(world: World) -> dict[str, dict[str, str]]:
    second = _in_realm(world, "/token", _OF_SECOND)["access_token"]
    return {
        "token": {"client": _tokens_of_other(world)["refresh_token"], "realm": second},
        "client_id": {"client": "other", "realm": "only-second"},
        "client_secret": {"client": OTHER_SECRET},
    }


def _userinfo(world: World) -> Request:
    token = world.tokens()["access_token"]
    return Request({"access_token": token}, {}, (token,), partial(_shown_by_others, world))


def _shown_by_others(world: World) -> dict[str, dict[str, str]]:
    ours = world.tokens()
    second = _in_realm(world, "/token", _OF_SECOND)["access_token"]
    kinds = {"refresh": ours["refresh_token"], "realm": second, "id-token": ours["id_token"]}
    return {"access_token": kinds}


INVALID_TOKEN = Told(401, "invalid_token")
# A code whose holder cannot prove anything is a code of somebody else: one answer for all of it.
CODE = Parameter("code", absent=INVALID_REQUEST, other=INVALID_GRANT)
VERIFYING = Parameter("code_verifier", absent=INVALID_GRANT, other=INVALID_GRANT)
BACK = Parameter("redirect_uri", absent=INVALID_REQUEST, other=INVALID_GRANT)
UNSUPPORTED = Told(400, "unsupported_grant_type")
GRANT_TYPE = Parameter("grant_type", absent=INVALID_REQUEST, other=UNSUPPORTED)
ANYTHING = Parameter("foo")
# RFC 8707 2 lets both be repeated; two different ones are one too many for us, beside each other too.
TWICE = {"repeated-same": FINE, "repeated-empty": FINE}
API_NAMES = (
    Parameter("resource", API, absent=INVALID_SCOPE, other=INVALID_TARGET, but=TWICE),
    Parameter("audience", API, other=INVALID_REQUEST, but=TWICE),
)
# It is the client's own word for itself: beside a secret or an assertion another one is a contradiction.
CLIENT_ID = Parameter("client_id", absent=INVALID_CLIENT, other=INVALID_CLIENT)
SECRET = Parameter("client_secret", absent=INVALID_CLIENT, other=INVALID_CLIENT)
# Runs of spaces part two values as one does.
SPACES = {"trailing-space": FINE}
SCOPE = Parameter("scope", absent=FINE, other=INVALID_SCOPE, but=SPACES)
NEEDED_SCOPE = Parameter("scope", absent=INVALID_SCOPE, other=INVALID_SCOPE, but=SPACES)


def token_door(id: str, *parameters: Parameter) -> Door:
    every = (GRANT_TYPE, ANYTHING, *parameters)
    return Door(f"token-{id}", "POST", "/token", every, INVALID_REQUEST, INVALID_REQUEST)


def door(id: str, path: str, *parameters: Parameter) -> Door:
    return Door(id, "POST", path, (ANYTHING, *parameters), INVALID_REQUEST, INVALID_REQUEST)


DOORS: dict[Door, Make] = {
    token_door("code-basic", CODE, VERIFYING, BACK): _code,
    token_door("code-post", CODE, VERIFYING, BACK, CLIENT_ID, SECRET): lambda world: _code(
        world, "post", client_id="post", client_secret=APP_SECRET
    ),
    token_door("code-public", CODE, VERIFYING, BACK, CLIENT_ID): lambda world: _code(
        world, "native", client_id="native"
    ),
    token_door(
        "code-assertion",
        CODE,
        VERIFYING,
        Parameter("client_assertion", absent=INVALID_CLIENT, other=INVALID_CLIENT, long=INVALID_CLIENT),
        Parameter("client_assertion_type", absent=INVALID_CLIENT, other=INVALID_CLIENT),
    ): _asserted,
    token_door(
        "refresh",
        Parameter("refresh_token", absent=INVALID_REQUEST, other=INVALID_GRANT, long=INVALID_GRANT),
        SCOPE,
    ): _refresh,
    token_door(
        "password",
        Parameter("username", absent=INVALID_REQUEST, other=INVALID_GRANT, but={"other-case": FINE}),
        # Whatever somebody chose: only its hash is compared.
        Parameter("password", absent=INVALID_REQUEST, other=INVALID_GRANT, control=INVALID_GRANT),
        NEEDED_SCOPE,
    ): _password,
    token_door("client-credentials", SCOPE, *API_NAMES): _itself,
    token_door("device", Parameter("device_code", absent=INVALID_REQUEST, other=INVALID_GRANT)): _device,
    door(
        "device-authorization",
        "/device_authorization",
        CLIENT_ID,
        NEEDED_SCOPE,
        *API_NAMES,
    ): _starting,
    door(
        "introspect",
        "/introspect",
        # Of what is nothing here one word is said (RFC 7662 2.2), which is an answer.
        Parameter("token", absent=INVALID_REQUEST, long=FINE),
        Parameter("token_type_hint"),
        CLIENT_ID,
        SECRET,
    ): _query,
    door(
        "revoke",
        "/revoke",
        Parameter("token", absent=INVALID_REQUEST, long=FINE),
        Parameter("token_type_hint"),
        CLIENT_ID,
        SECRET,
    ): _query,
    Door(
        "userinfo",
        "POST",
        "/userinfo",
        # A fault of the token, and what is no request of RFC 6750 at all.
        (
            Parameter("access_token", absent=INVALID_TOKEN, other=INVALID_TOKEN, malformed=INVALID_TOKEN,
                      repeated=INVALID_REQUEST, but={"of-realm": INVALID_TOKEN}),
            Parameter("foo", malformed=FINE),
        ),
        INVALID_REQUEST,
        INVALID_REQUEST,
    ): _userinfo,
}  # fmt: skip


SECOND = {
    "name": "second",
    "clients": [*CLIENTS, _client("only-second", auth_method="none", flows=["device_code"])],
    "users": PEOPLE,
    "resources": [{"audience": SECOND_API, "scopes": ["read"]}],
    "scopes": [{"value": "read"}],
}
SETTINGS: dict[str, Any] = {
    "clients": CLIENTS,
    "users": PEOPLE,
    "scopes": [{"value": "read"}],
    "resources": [{"audience": API, "scopes": ["read"]}, {"audience": ELSEWHERE, "clients": ["other"]}],
    "realms": [SECOND],
    "throttle": {"account_failures": 1000, "network_failures": 100_000, "devices_per_client": 100_000},
}
