"""Clients that sign who they are: `private_key_jwt` and `client_secret_jwt` at the token endpoint."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from werkzeug.test import TestResponse

from oidcgate.net.fetch import AddressRules, Fetcher
from tests.provider.asserting import (
    KEYS_URI,
    KeyServer,
    claims,
    client,
    key,
    presenting,
    public,
    redeeming,
    sign,
)
from tests.provider.world import APP_SECRET, ISSUER, World, error_of
from tests.support.tls import Authority

INVALID_CLIENT = (401, "invalid_client")


def with_keys(database: Path, *kinds: str, **changes: Any) -> World:
    """A world in which `app` proves itself with keys that are written in the configuration."""
    keys = public(*(key(kind, f"k{number}") for number, kind in enumerate(kinds, 1)))
    said = {"client_secret": None, "auth_method": "private_key_jwt", "jwks": keys, **changes}
    return World.over(database, clients=[client(**said)])


def fetching(database: Path, server: KeyServer, **changes: Any) -> World:
    """A world in which `app` publishes its keys at an address."""
    said = {"client_secret": None, "auth_method": "private_key_jwt", "jwks_uri": KEYS_URI, **changes}
    return World.over(database, fetcher=server.fetcher(), clients=[client(**said)])


def present(world: World, assertion: str, **form: str) -> TestResponse:
    return world.token({**redeeming(world), **presenting(assertion), **form}, auth=None)


def refusal(world: World) -> str:
    """Why the last client was refused, as the operator reads it."""
    events = [json.loads(line) for line in world.events]
    return str([event["reason"] for event in events if event["event"] == "provider.client_refused"][-1])


@pytest.mark.row("P-14")
@pytest.mark.parametrize(
    ("alg", "kind"),
    [
        ("RS256", "RSA"),
        ("PS256", "RSA"),
        ("RS512", "RSA"),
        ("ES256", "P-256"),
        ("ES512", "P-521"),
        ("EdDSA", "Ed25519"),
    ],
)
def test_a_client_proves_itself_with_its_key(database: Path, alg: str, kind: str) -> None:
    pinned = {} if alg == "RS256" else {"token_endpoint_auth_signing_alg": alg}
    world = with_keys(database, kind, **pinned)
    response = present(world, sign(claims(world), key(kind), alg))
    assert response.status_code == 200, response.text
    assert response.get_json()["id_token"]


@pytest.mark.parametrize("alg", ["HS256", "HS384"])
def test_a_client_proves_itself_with_its_secret(database: Path, alg: str) -> None:
    pinned = {} if alg == "HS256" else {"token_endpoint_auth_signing_alg": alg}
    long = APP_SECRET + "x" * 10
    said = client(auth_method="client_secret_jwt", client_secret=long, **pinned)
    world = World.over(database, clients=[said])
    assert present(world, sign(claims(world), long, alg)).status_code == 200
    assert error_of(present(world, sign(claims(world, jti="j-2"), long[::-1], alg))) == INVALID_CLIENT
    assert "signature" in refusal(world)


@pytest.mark.row("P-07", "P-14")
@pytest.mark.parametrize(
    ("pinned", "alg", "signer"),
    [
        pytest.param("RS256", "PS256", "RSA", id="another-of-the-same-key"),
        pytest.param("RS256", "ES256", "P-256", id="another-key-of-the-client"),
        pytest.param("ES256", "RS256", "RSA", id="the-default-where-another-is-set"),
        pytest.param("RS256", "HS256", "secret", id="a-secret"),
        pytest.param("RS256", "none", None, id="none"),
    ],
)
def test_the_algorithm_is_the_registered_one(
    database: Path, pinned: str, alg: str, signer: str | None
) -> None:
    world = with_keys(database, "RSA", "P-256", token_endpoint_auth_signing_alg=pinned)
    kid = {"RSA": "k1", "P-256": "k2"}.get(signer or "")
    signing: Any = key(signer, kid) if signer and kid else "s" * 64 if signer else None
    assertion = sign(claims(world), signing, alg)
    assert error_of(present(world, assertion)) == INVALID_CLIENT


@pytest.mark.row("P-07")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "https://other.example"}, id="aud-of-another"),
        pytest.param({"aud": f"{ISSUER}/token"}, id="aud-token-endpoint"),
        pytest.param({"aud": [ISSUER, "https://other.example"]}, id="aud-another-beside-us"),
        pytest.param({"aud": [ISSUER, f"{ISSUER}/token"]}, id="aud-token-endpoint-beside-us"),
        pytest.param({"aud": None}, id="aud-missing"),
        pytest.param({"jti": None}, id="jti-missing"),
        pytest.param({"exp": None}, id="exp-missing"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"exp": 4_000_000_000}, id="exp-far-ahead"),
        pytest.param({"iss": "other"}, id="iss-of-another"),
        pytest.param({"iss": "other", "sub": "other"}, id="unknown-client"),
    ],
)
def test_what_an_assertion_must_say(database: Path, changes: dict[str, Any]) -> None:
    world = with_keys(database, "RSA")
    assert error_of(present(world, sign(claims(world, **changes), key("RSA"), "RS256"))) == INVALID_CLIENT
    assert world.rows("assertions") == []


@pytest.mark.row("P-07")
def test_the_token_endpoint_is_an_audience_by_a_named_switch_only(database: Path) -> None:
    world = with_keys(database, "RSA", insecure_token_endpoint_audience=True)
    said = claims(world, aud=f"{ISSUER}/token")
    assert present(world, sign(said, key("RSA"), "RS256")).status_code == 200


@pytest.mark.row("P-07")
def test_an_assertion_is_good_once(database: Path) -> None:
    world = with_keys(database, "RSA")
    assertion = sign(claims(world), key("RSA"), "RS256")
    assert present(world, assertion).status_code == 200
    assert error_of(present(world, assertion)) == INVALID_CLIENT
    assert "used before" in refusal(world)
    # Not by signing the same jti anew either.
    again = sign(claims(world, exp=world.now + 90), key("RSA"), "RS256")
    assert error_of(present(world, again)) == INVALID_CLIENT
    assert present(world, sign(claims(world, jti="j-2"), key("RSA"), "RS256")).status_code == 200


@pytest.mark.row("P-07")
def test_an_assertion_is_used_up_by_a_request_that_fails(database: Path) -> None:
    world = with_keys(database, "RSA")
    assertion = sign(claims(world), key("RSA"), "RS256")
    assert error_of(present(world, assertion, code="unknown")) == (400, "invalid_grant")
    assert error_of(present(world, assertion)) == INVALID_CLIENT


@pytest.mark.row("P-07")
def test_a_used_assertion_is_remembered_until_nobody_would_take_it(database: Path) -> None:
    world = with_keys(database, "RSA")
    assertion = sign(claims(world), key("RSA"), "RS256")
    assert present(world, assertion).status_code == 200
    skew = world.realm.settings.lifetimes.clock_skew_seconds
    world.clock.move(60 + skew - 1)
    assert error_of(present(world, assertion)) == INVALID_CLIENT
    assert "used before" in refusal(world)
    world.clock.move(1)
    assert error_of(present(world, assertion)) == INVALID_CLIENT
    assert "expired" in refusal(world)
    world.clock.move(61)
    with world.browser().get("/jwks"):
        pass  # closing an answer sweeps
    assert world.rows("assertions") == []


@pytest.mark.row("P-07")
def test_two_clients_may_use_the_same_jti(database: Path) -> None:
    keys = public(key("RSA"))
    common = {"client_secret": None, "auth_method": "private_key_jwt", "jwks": keys}
    world = World.over(database, clients=[client(**common), client(client_id="second", **common)])
    for client_id in ("app", "second"):
        assertion = sign(claims(world, client_id), key("RSA"), "RS256")
        assert error_of(present(world, assertion, code="unknown")) == (400, "invalid_grant")


@pytest.mark.row("S-02")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_jwt", "private_key_jwt", "none"])
def test_a_client_proves_itself_by_its_registered_method_only(database: Path, method: str) -> None:
    said: dict[str, Any] = {"auth_method": method}
    if method == "private_key_jwt":
        said |= {"jwks": public(key("RSA")), "client_secret": None}
    elif method == "none":
        said |= {"client_secret": None}
    world = World.over(database, clients=[client(**said)])
    ways = {
        "client_secret_basic": world.token({"grant_type": "refresh_token", "refresh_token": "x"}),
        "client_secret_jwt": present(world, sign(claims(world), APP_SECRET, "HS256"), code="x"),
        "private_key_jwt": present(world, sign(claims(world, jti="2"), key("RSA"), "RS256"), code="x"),
        "none": world.token({**redeeming(world), "client_id": "app", "code": "x"}, auth=None),
    }
    good = {name for name, response in ways.items() if error_of(response) == (400, "invalid_grant")}
    assert good == {method}
    assert {error_of(ways[name]) for name in ways.keys() - good} == {INVALID_CLIENT}


@pytest.mark.row("P-15")
@pytest.mark.parametrize("alg", ["RS256", "PS512", "ES256", "EdDSA", "HS256"])
def test_a_client_that_is_not_there_costs_a_check_as_well(database: Path, alg: str) -> None:
    """The answer is that of a wrong signature; only the operator is told that there is no such client."""
    world = with_keys(database, "RSA")
    kind = {"ES256": "P-256", "EdDSA": "Ed25519"}.get(alg, "RSA")
    signer: Any = APP_SECRET if alg == "HS256" else key(kind)
    stranger = present(world, sign(claims(world, "stranger"), signer, alg))
    wrong = present(world, sign(claims(world), key("RSA", "another"), "RS256"))
    assert error_of(stranger) == INVALID_CLIENT
    assert stranger.get_json() == wrong.get_json()
    assert "unknown client" in "".join(world.events)


@pytest.mark.row("S-45")
def test_a_disabled_client_proves_itself_in_vain_and_keeps_its_assertion(database: Path) -> None:
    world = with_keys(database, "RSA", enabled=False)
    assert error_of(present(world, sign(claims(world), key("RSA"), "RS256"))) == INVALID_CLIENT
    assert refusal(world) == "client disabled"
    assert world.rows("assertions") == []


@pytest.mark.row("P-15")
def test_no_assertion_is_reported_or_kept(database: Path) -> None:
    world = with_keys(database, "RSA")
    assertion = sign(claims(world, jti="canary-jti"), key("RSA"), "RS256")
    present(world, assertion)
    refused = present(world, assertion)
    for part in (*assertion.split("."), "canary-jti"):
        assert part not in "".join(world.events) + str(world.rows("assertions")) + refused.text


def test_the_keys_are_fetched_once_and_again_for_a_new_kid(database: Path) -> None:
    server = KeyServer(public(key("RSA")))
    world = fetching(database, server)
    for number in range(3):
        assertion = sign(claims(world, jti=f"j-{number}"), key("RSA"), "RS256")
        assert present(world, assertion).status_code == 200
    assert server.calls == 1
    world.clock.move(31)
    server.keys = public(key("RSA", "k2"))
    assert present(world, sign(claims(world, jti="n"), key("RSA", "k2"), "RS256")).status_code == 200
    assert server.calls == 2
    # What was taken back is no proof any more.
    assert error_of(present(world, sign(claims(world, jti="o"), key("RSA"), "RS256"))) == INVALID_CLIENT


@pytest.mark.row("S-02")
def test_a_client_that_takes_a_new_key_right_after_it_signed_is_still_itself(database: Path) -> None:
    """As the certification has it: a refresh token, a new key at the same address, a refresh."""
    server = KeyServer(public(key("RSA")))
    world = fetching(database, server)
    given = present(world, sign(claims(world, jti="a"), key("RSA"), "RS256")).get_json()
    server.keys = public(key("RSA", "k2"))
    form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    renewed = sign(claims(world, jti="b"), key("RSA", "k2"), "RS256")
    assert world.post("/token", {**form, **presenting(renewed)}).status_code == 200
    assert server.calls == 2
    # The next new key has to wait: nobody makes us fetch as often as they like.
    server.keys = public(key("RSA", "k3"))
    third = sign(claims(world, jti="c"), key("RSA", "k3"), "RS256")
    assert error_of(present(world, third)) == INVALID_CLIENT
    world.clock.move(30)
    assert present(world, third).status_code == 200
    assert server.calls == 3


@pytest.mark.row("P-09")
def test_invented_kids_and_algorithms_do_not_make_us_fetch_again(database: Path) -> None:
    server = KeyServer(public(key("RSA")))
    world = fetching(database, server)
    for number in range(5):
        wrong = sign(claims(world, jti=f"j-{number}"), key("RSA"), "RS256", kid=f"invented-{number}")
        assert error_of(present(world, wrong)) == INVALID_CLIENT
        other = sign(claims(world, jti=f"a-{number}"), key("RSA"), "PS256")
        assert error_of(present(world, other)) == INVALID_CLIENT
    # Once as the first who asks, and once for the first invention.
    assert server.calls == 2
    world.clock.move(29)
    assert error_of(present(world, wrong)) == INVALID_CLIENT
    assert server.calls == 2


@pytest.mark.row("P-14")
def test_a_key_that_is_for_encryption_proves_nothing(database: Path) -> None:
    server = KeyServer(public(key("RSA", "e", use="enc")))
    world = fetching(database, server)
    assertion = sign(claims(world), key("RSA", "e", use="enc"), "RS256")
    assert error_of(present(world, assertion)) == INVALID_CLIENT


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"status": "500 Oops"}, id="status"),
        pytest.param({"status": "302 Found"}, id="redirect"),
        pytest.param({"keys": {"keys": "none"}}, id="no-key-set"),
        pytest.param({"keys": {"keys": [], "padding": "x" * 200_000}}, id="too-long"),
        pytest.param({"keys": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, id="a-secret-in-it"),
    ],
)
@pytest.mark.row("P-09")
def test_without_its_keys_a_client_is_refused_and_the_operator_told(
    database: Path, broken: dict[str, Any]
) -> None:
    server = KeyServer(**{"keys": public(key("RSA")), **broken})
    world = fetching(database, server)
    assert error_of(present(world, sign(claims(world), key("RSA"), "RS256"))) == INVALID_CLIENT
    assert refusal(world).startswith("client assertion: jwks_uri: ")


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("https://169.254.169.254/latest/meta-data", id="metadata"),
        pytest.param("https://10.0.0.1/keys", id="private"),
        pytest.param("https://127.0.0.1/keys", id="loopback"),
        pytest.param("https://[::1]/keys", id="loopback-6"),
        pytest.param("https://[fe80::1]/keys", id="link-local"),
        pytest.param("https://rebound.example/keys", id="a-name-that-leads-inside"),
    ],
)
def test_keys_are_never_fetched_from_inside(database: Path, uri: str) -> None:
    # The name was fine when the client was added; now it leads to an inner server.
    inner = Fetcher(AddressRules(), resolver=lambda host, port: [ip_address("192.168.0.7")])
    world = World.over(
        database,
        fetcher=inner if "rebound" in uri else None,
        clients=[client(client_secret=None, auth_method="private_key_jwt", jwks_uri=uri)],
    )
    assert error_of(present(world, sign(claims(world), key("RSA"), "RS256"))) == INVALID_CLIENT
    assert "refused_address" in refusal(world)


def test_nothing_is_open_in_the_database_while_keys_are_fetched(database: Path) -> None:
    server = KeyServer(public(key("RSA")))
    world = fetching(database, server)
    pool = world.provider.parts.store.engine.pool
    server.while_asked.append(lambda: busy.append(pool.checkedout()))
    busy: list[int] = []
    assert present(world, sign(claims(world), key("RSA"), "RS256")).status_code == 200
    assert busy == [0]


@pytest.mark.row("P-07")
def test_another_process_refuses_what_this_one_saw(database: Path) -> None:
    world, other = (with_keys(database, "RSA") for _ in range(2))
    assertion = sign(claims(world), key("RSA"), "RS256")
    assert present(world, assertion).status_code == 200
    assert error_of(present(other, assertion)) == INVALID_CLIENT


@pytest.mark.row("P-07", "S-20", "S-21")
@pytest.mark.parametrize(
    ("path", "form"),
    [
        pytest.param("/introspect", {"token": "x"}, id="introspection"),
        pytest.param("/revoke", {"token": "x"}, id="revocation"),
        pytest.param("/device_authorization", {"scope": "openid"}, id="device"),
    ],
)
def test_every_endpoint_takes_an_assertion_once(database: Path, path: str, form: dict[str, str]) -> None:
    flows = ["authorization_code", "introspection", "revocation", "device_code"]
    world = with_keys(database, "RSA", flows=flows)
    assertion = sign(claims(world), key("RSA"), "RS256")
    assert world.post(path, {**form, **presenting(assertion)}).status_code == 200
    assert error_of(world.post(path, {**form, **presenting(assertion)})) == INVALID_CLIENT
    # What was used at one endpoint is used at all, and none is an audience by its own name.
    assert error_of(present(world, assertion)) == INVALID_CLIENT
    named = sign(claims(world, jti="2", aud=f"{ISSUER}{path}"), key("RSA"), "RS256")
    assert error_of(world.post(path, {**form, **presenting(named)})) == INVALID_CLIENT


@contextmanager
def serving(server: KeyServer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The key server behind a socket of this machine; gives the port."""
    app = make_server("127.0.0.1", 0, server, handler_class=Quiet)
    if tls is not None:
        app.socket = tls.wrap_socket(app.socket, server_side=True)
    thread = threading.Thread(target=app.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield app.server_port
    finally:
        app.shutdown()
        thread.join(10)
        app.server_close()


class Quiet(WSGIRequestHandler):
    """Says nothing."""

    def log_message(self, *_: object) -> None:
        """Not even this."""


@pytest.mark.live
@pytest.mark.row("P-09")
def test_keys_are_fetched_inside_where_the_operator_says_so(database: Path, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca")
    issued = authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    outbound = {"allow_networks": ["127.0.0.0/8"], "ca_file": str(authority.certificate)}
    with serving(KeyServer(public(key("RSA"))), context) as port:
        said = {"client_secret": None, "auth_method": "private_key_jwt"}
        clients = [client(**said, jwks_uri=f"https://127.0.0.1:{port}/keys")]
        for settings, status in (({"outbound": outbound}, 200), ({}, 401)):
            world = World.over(database, clients=clients, **settings)
            jti = f"of-{status}"
            assertion = sign(claims(world, jti=jti), key("RSA"), "RS256")
            assert present(world, assertion).status_code == status, refusal(world)


@pytest.mark.live
def test_keys_are_fetched_from_this_machine_to_try_it_out(database: Path) -> None:
    with serving(KeyServer(public(key("RSA")))) as port:
        said = {"client_secret": None, "auth_method": "private_key_jwt"}
        clients = [client(**said, jwks_uri=f"http://127.0.0.1:{port}/keys")]
        world = World.over(database, clients=clients, insecure_allow_http_loopback=True)
        assert present(world, sign(claims(world), key("RSA"), "RS256")).status_code == 200
