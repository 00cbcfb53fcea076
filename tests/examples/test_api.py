"""The example API: what it believes, and what it says to everything else. Its issuer is a mock here."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import requests_mock
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.test import Client, TestResponse

from examples.api import create_app

pytestmark = pytest.mark.row("E-09")

ISSUER = "https://id.example"
API = "https://api.example"
NOW = 1_800_000_000
KEY, OTHER_KEY = (RSAKey.generate_key(2048, parameters={"kid": kid}) for kid in ("one", "two"))
GOOD = {
    "iss": ISSUER,
    "aud": API,
    "sub": "alice",
    "client_id": "app",
    "scope": "openid orders:read",
    "exp": NOW + 60,
    "iat": NOW,
    "jti": "x",
}


@dataclass
class World:
    """The API, its clock, and what its issuer publishes."""

    issuer: requests_mock.Mocker
    time: list[float] = field(default_factory=lambda: [float(NOW)])

    def __post_init__(self) -> None:
        self.client = Client(create_app(ISSUER, API, clock=lambda: self.time[0]))
        self.publish(KEY)

    def publish(self, *keys: RSAKey) -> None:
        document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}
        self.issuer.get(f"{ISSUER}/.well-known/openid-configuration", json=document)
        self.issuer.get(f"{ISSUER}/jwks", json={"keys": [key.as_dict(private=False) for key in keys]})

    @property
    def fetches(self) -> int:
        return sum(request.url.endswith("/jwks") for request in self.issuer.request_history)

    def get(self, token: str | None, method: str = "GET") -> TestResponse:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.client.open("/orders", method=method, headers=headers)


@pytest.fixture
def world() -> Iterator[World]:
    with requests_mock.Mocker() as issuer:
        yield World(issuer)


def signed(key: RSAKey = KEY, header: dict[str, Any] | None = None, **claims: Any) -> str:
    merged = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
    algorithm = (header or {}).get("alg", "RS256")
    head = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid, **(header or {})}
    return jwt.encode(head, merged, key, algorithms=[algorithm])


def by_hand(header: dict[str, Any], signature: bytes = b"", key: bytes | None = None) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, GOOD)]
    message = b".".join(parts)
    if key is not None:
        signature = hmac.new(key, message, hashlib.sha256).digest()
    return (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


PUBLIC_PEM = KEY.as_pem(private=False)
HEAD = {"typ": "at+jwt", "kid": "one"}


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(), id="plain"),
        pytest.param(signed(aud=["https://other.example", API]), id="one-of-several-audiences"),
        pytest.param(signed(header={"typ": "application/at+jwt"}), id="whole-media-type"),
    ],
)
def test_good_tokens(world: World, token: str) -> None:
    answer = world.get(token)
    assert (answer.status_code, answer.get_json()) == (200, {"orders": [], "of": "alice", "through": "app"})


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(aud="https://other.example"), id="aud-of-another-api"),
        pytest.param(signed(aud=[]), id="aud-empty"),
        pytest.param(signed(aud=None), id="aud-missing"),
        pytest.param(signed(aud=f"{API}/"), id="aud-nearly"),
        pytest.param(signed(iss="https://evil.test"), id="iss-of-another"),
        pytest.param(signed(iss=None), id="iss-missing"),
        pytest.param(signed(exp=NOW), id="exp-now"),
        pytest.param(signed(exp=None), id="exp-missing"),
        pytest.param(signed(exp="9999999999"), id="exp-text"),
        pytest.param(signed(sub=None), id="sub-missing"),
        pytest.param(signed(client_id=None), id="client_id-missing"),
        pytest.param(signed(header={"typ": "JWT"}), id="id-token"),
        pytest.param(signed(header={"kid": "unknown"}), id="kid-unknown"),
        pytest.param(signed(OTHER_KEY, header={"kid": "one"}), id="another-key-of-that-name"),
        pytest.param(signed(header={"alg": "PS256"}), id="another-algorithm"),
        pytest.param(by_hand({**HEAD, "alg": "none"}), id="alg-none"),
        pytest.param(by_hand({**HEAD, "alg": "HS256"}, key=PUBLIC_PEM), id="alg-hs256-with-the-public-key"),
        pytest.param(by_hand({**HEAD, "alg": "RS256"}, b"x" * 256), id="forged"),
        pytest.param("a.b.c", id="garbage"),
        pytest.param("opaque", id="opaque"),
        pytest.param("a.b.c.d.e", id="encrypted"),
        pytest.param("é.é.é", id="not-ascii"),
    ],
)
def test_bad_tokens(world: World, token: str) -> None:
    answer = world.get(token)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "Bearer", "Bearer "])
def test_without_a_token_the_challenge_has_no_error(world: World, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = world.client.get("/orders", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="orders"')
    assert world.fetches == 0


@pytest.mark.parametrize(
    ("method", "scope", "status"),
    [
        pytest.param("GET", "orders:read", 200, id="read"),
        pytest.param("POST", "orders:read orders:write", 200, id="write"),
        pytest.param("POST", "orders:read", 403, id="write-with-read-only"),
        pytest.param("GET", "orders:reader", 403, id="longer-scope"),
        pytest.param("GET", None, 403, id="none"),
    ],
)
def test_scopes(world: World, method: str, scope: str | None, status: int) -> None:
    answer = world.get(signed(scope=scope), method)
    assert answer.status_code == status
    if status == 403:
        needed = {"GET": "orders:read", "POST": "orders:write"}[method]
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{needed}"' in challenge


def test_keys_are_kept_for_a_while(world: World) -> None:
    for _ in range(5):
        assert world.get(signed()).status_code == 200
    assert world.fetches == 1
    world.time[0] += 601
    assert world.get(signed(exp=NOW + 700)).status_code == 200
    assert world.fetches == 2


def test_an_unknown_key_is_looked_for_but_not_at_each_request(world: World) -> None:
    assert world.get(signed()).status_code == 200
    world.publish(KEY, OTHER_KEY)
    # Just fetched: whoever sends names of keys that there are not costs nothing.
    assert [world.get(signed(OTHER_KEY)).status_code for _ in range(20)] == [401] * 20
    assert world.fetches == 1
    world.time[0] += 31
    assert world.get(signed(OTHER_KEY)).status_code == 200
    assert world.fetches == 2


def test_an_outage_of_the_issuer_takes_no_keys_away(world: World) -> None:
    assert world.get(signed()).status_code == 200
    world.issuer.get(f"{ISSUER}/.well-known/openid-configuration", exc=requests.ConnectionError)
    world.time[0] += 1000
    assert world.get(signed(exp=NOW + 2000)).status_code == 200


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"status_code": 500}, id="error"),
        pytest.param({"text": "<html>"}, id="no-json"),
        pytest.param({"json": {"issuer": "https://evil.test", "jwks_uri": f"{ISSUER}/jwks"}}, id="another"),
        pytest.param({"json": []}, id="no-object"),
        pytest.param({"exc": requests.ConnectionError}, id="down"),
    ],
)
def test_without_keys_nobody_is_judged(world: World, metadata: dict[str, Any]) -> None:
    world.issuer.get(f"{ISSUER}/.well-known/openid-configuration", **metadata)
    answer = world.get(signed())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
