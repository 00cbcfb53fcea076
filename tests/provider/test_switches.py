"""The switches of a client, one for each way to get or look at tokens: on it works, off it is refused."""

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from werkzeug.test import Client as WSGIClient
from werkzeug.test import TestResponse

from provider.client_settings import FLOWS
from tests.provider.sign_in.place import CALLBACK, CLIENT_SECRET, ISSUER, VERIFIER, World, client

#: Clients that have every switch on, and for each switch one that lacks that one alone.
CLIENTS = [
    client(f"without-{off}", trusted=True, flows=[flow for flow in FLOWS if flow != off], scopes=["*"])
    for off in ("nothing", *FLOWS)
]
CLIENTS.append(client("no-codes", trusted=True, flows=["implicit", "client_credentials"]))


class Outcome(NamedTuple):
    """What came of it: a status, and the error or None."""

    status: int
    error: str | None


def sent(world: World, path: str, client_id: str, form: dict[str, str]) -> TestResponse:
    basic = base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    return WSGIClient(world.provider).post(path, data=form, headers=headers, base_url=ISSUER)


def judged(response: TestResponse) -> Outcome:
    document = response.get_json(silent=True) or {}
    return Outcome(response.status_code, document.get("error"))


def authorize(response_type: str) -> Callable[[World, str], Outcome]:
    def way(world: World, client_id: str) -> Outcome:
        browser = world.browser()
        page = browser.authorize(client_id, response_type=response_type)
        if page.main_id == "page-login":
            page = browser.sign_in(page)
        assert page.status == 303
        return Outcome(200 if "error" not in page.answer else 400, page.answer.get("error"))

    return way


def token(**form: str) -> Callable[[World, str], Outcome]:
    return lambda world, client_id: judged(sent(world, "/token", client_id, form))


def tokens_of(world: World, client_id: str) -> dict[str, Any]:
    """What a person's sign-in gives a client that may do everything but one thing."""
    response_type = "code id_token" if client_id == "without-authorization_code" else "code"
    browser = world.browser()
    page = browser.signed_in(client_id, response_type=response_type, scope="openid offline_access")
    form = {
        "grant_type": "authorization_code",
        "code": page.answer["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return dict(sent(world, "/token", client_id, form).get_json())


def refresh(world: World, client_id: str) -> Outcome:
    # Who may not refresh is given nothing to do it with, and is refused whatever it brings.
    presented = tokens_of(world, client_id).get("refresh_token", "some-token")
    form = {"grant_type": "refresh_token", "refresh_token": presented}
    return judged(sent(world, "/token", client_id, form))


def asking(path: str) -> Callable[[World, str], Outcome]:
    def way(world: World, client_id: str) -> Outcome:
        form = {"token": tokens_of(world, client_id)["access_token"]}
        return judged(sent(world, path, client_id, form))

    return way


def start_device(world: World, client_id: str) -> Outcome:
    return judged(sent(world, "/device_authorization", client_id, {"scope": "openid"}))


def poll_device(world: World, client_id: str) -> Outcome:
    started = sent(world, "/device_authorization", client_id, {"scope": "openid"}).get_json()
    device_code = started.get("device_code", "some-code")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device_code}
    polled = judged(sent(world, "/token", client_id, form))
    # Let in, and nobody has typed the code yet.
    return Outcome(200, None) if polled.error == "authorization_pending" else polled


#: Each switch with the ways that it opens.
WAYS: dict[str, dict[str, Callable[[World, str], Outcome]]] = {
    "authorization_code": {"code": authorize("code")},
    "implicit": {
        "id_token": authorize("id_token"),
        "id_token-token": authorize("id_token token"),
        "token": authorize("token"),
    },
    "hybrid": {
        "code-id_token": authorize("code id_token"),
        "code-token": authorize("code token"),
        "code-id_token-token": authorize("code id_token token"),
    },
    "client_credentials": {"token": token(grant_type="client_credentials", scope="orders")},
    "password": {
        "token": token(grant_type="password", username="alice", password="demo-alice", scope="openid")
    },
    "refresh_token": {"token": refresh},
    "introspection": {"introspect": asking("/introspect")},
    "revocation": {"revoke": asking("/revoke")},
    "device_code": {"device_authorization": start_device, "token": poll_device},
}
#: Endpoints of their own, where the answer is the status.
FORBIDDEN = ("introspection", "revocation")
CASES = [
    pytest.param(way, switch, on, id=f"{switch}-{name}-{'on' if on else 'off'}")
    for switch, ways in WAYS.items()
    for name, way in ways.items()
    for on in (True, False)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World.make(
        tmp_path_factory.mktemp("switches"),
        clients=CLIENTS,
        scopes=[{"value": "orders"}],
        insecure_oauth_implicit=True,
    )
    yield made
    made.close()


@pytest.mark.row("S-50")
@pytest.mark.parametrize(("way", "switch", "on"), CASES)
def test_a_switch_opens_its_ways_and_no_other(
    world: World, way: Callable[[World, str], Outcome], switch: str, on: bool
) -> None:
    outcome = way(world, "without-nothing" if on else f"without-{switch}")
    if on:
        assert outcome == (200, None)
    else:
        assert outcome == (403 if switch in FORBIDDEN else 400, "unauthorized_client")


@pytest.mark.row("S-50")
def test_no_switch_is_left_out() -> None:
    assert WAYS.keys() == set(FLOWS)


@pytest.mark.row("S-50")
def test_nobody_redeems_a_code_who_can_get_none(world: World) -> None:
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK}
    assert judged(sent(world, "/token", "no-codes", form)) == (400, "unauthorized_client")


@pytest.mark.row("S-50", "S-07")
def test_who_may_not_refresh_is_given_no_refresh_token(world: World) -> None:
    assert "refresh_token" in tokens_of(world, "without-nothing")
    assert "refresh_token" not in tokens_of(world, "without-refresh_token")
