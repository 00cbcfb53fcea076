"""Applications that registered themselves: what they change is neither agreed to nor a way to learn more."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from oidcgate.jose.jwt import unverified_claims
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from provider.services.initial_tokens import make_initial_token
from tests.provider.sign_in.place import ISSUER, Browser, Page, World, client

BANK, NEW = "https://bank.example/cb", "https://new.example/cb"
SECTOR = "https://bank.example/sector.json"
SAID: dict[str, Any] = {"redirect_uris": [NEW], "client_name": "Calendar", "scope": "openid profile"}
OUT = "https://new.example/out"


class Elsewhere:
    """The other hosts: the bank's array, which everybody may read, and whoever takes logout tokens."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        if environ["REQUEST_METHOD"] == "GET":
            return [json.dumps([BANK, NEW]).encode()]
        form = parse_qs(environ["wsgi.input"].read().decode())
        self.heard.append(unverified_claims(form["logout_token"][0]))
        return []


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def world(tmp_path: Path, elsewhere: Elsewhere) -> World:
    bank = client(
        "bank", trusted=True, subject_type="pairwise", redirect_uris=[BANK],
        backchannel_logout_uri="https://bank.example/out",
    )  # fmt: skip
    return World.make(
        tmp_path,
        fetcher=Fetcher(AddressRules(), adapter=WSGIAdapter(elsewhere)),
        clients=[bank],
        subjects={"types": ["public", "pairwise"], "default": "pairwise"},
        registration={"enabled": True, "flows": ["authorization_code", "device_code"]},
    )


def send(
    world: World, method: str, path: str, said: Mapping[str, Any], token: str, status: int
) -> dict[str, Any]:
    response = world.browser().client.open(
        path, method=method, json=said, headers={"Authorization": f"Bearer {token}"}, base_url=ISSUER
    )
    assert response.status_code == status, response.text
    return dict(response.get_json())


def register(world: World, status: int = 201, **said: Any) -> dict[str, Any]:
    parts = world.provider.parts
    with parts.store.begin() as conn:
        made = make_initial_token(conn, parts.realms[0], uses=1, life_seconds=99, note="", now=world.now)
    return send(world, "POST", "/register", {**SAID, **said}, made.token.reveal(), status)


def change(world: World, told: Mapping[str, Any], **said: Any) -> None:
    path = told["registration_client_uri"].removeprefix(ISSUER)
    said = {**SAID, "client_id": told["client_id"], **said}
    send(world, "PUT", path, said, told["registration_access_token"], 200)


def at(browser: Browser, told: Mapping[str, Any], **changes: str) -> Page:
    return browser.authorize(told["client_id"], **{"redirect_uri": NEW, **changes})


def agreed(world: World, told: Mapping[str, Any]) -> Browser:
    browser = world.browser()
    page = browser.submit(browser.sign_in(at(browser, told)), decision="allow")
    assert "code" in page.answer
    return browser


@pytest.mark.row("S-19", "S-20", "P-13")
@pytest.mark.parametrize(
    "sector",
    [
        pytest.param({}, id="its-own"),
        pytest.param({"redirect_uris": [BANK]}, id="by-its-host"),
        pytest.param({"sector_identifier_uri": SECTOR}, id="by-its-array"),
        pytest.param({"subject_type": "public"}, id="public"),
    ],
)
def test_a_client_that_registered_itself_hears_which_session_ended_and_no_name_of_the_person(
    world: World, elsewhere: Elsewhere, sector: dict[str, Any]
) -> None:
    told = register(world, backchannel_logout_uri=OUT)
    browser = agreed(world, told)
    page = browser.authorize("bank", redirect_uri=BANK)
    id_token = unverified_claims(world.tokens(page, "bank", redirect_uri=BANK)["id_token"])
    change(world, told, backchannel_logout_uri=OUT, **sector)
    browser.submit(browser.go(f"{ISSUER}/end_session"))
    assert world.provider.parts.logout_delivery.deliver_due() == 2
    heard = {said["aud"]: said for said in elsewhere.heard}
    assert "sub" not in heard[told["client_id"]]
    assert heard[told["client_id"]]["sid"] == id_token["sid"]
    assert heard["bank"]["sub"] == id_token["sub"]


@pytest.mark.row("S-20", "P-13")
def test_whoever_names_the_array_of_a_sector_does_not_collect_its_names_of_people(world: World) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    said = {"redirect_uris": [BANK], "sector_identifier_uri": SECTOR, "grant_types": ["authorization_code"]}
    refused = register(world, 400, **{**said, "grant_types": ["authorization_code", device]})
    assert refused["error"] == "invalid_client_metadata"
    assert "subject_type" in refused["error_description"]
    assert register(world, **said)["subject_type"] == "pairwise"


OTHERWISE = [
    pytest.param({"client_name": "The bank"}, id="name"),
    pytest.param({"redirect_uris": [NEW, "https://new.example/else"]}, id="redirect-uris"),
    pytest.param({"subject_type": "public"}, id="subject-type"),
    pytest.param({"sector_identifier_uri": SECTOR}, id="sector"),
]


@pytest.mark.row("A-13", "P-13")
@pytest.mark.parametrize("said", OTHERWISE)
def test_who_says_otherwise_who_it_is_is_agreed_to_anew(world: World, said: dict[str, Any]) -> None:
    """Also in the second in which they agreed."""
    told = register(world)
    browser = agreed(world, told)
    change(world, told, **said)
    assert at(browser, told, prompt="none").answer["error"] == "consent_required"
    world.time[0] += 1
    page = at(browser, told)
    assert page.main_id == "page-consent"
    assert "code" in browser.submit(page, decision="allow").answer
    change(world, told, **said)
    assert "code" in at(browser, told, prompt="none").answer


@pytest.mark.row("A-13")
def test_what_changes_nothing_about_who_it_is_asks_nobody(world: World) -> None:
    told = register(world)
    browser = agreed(world, told)
    change(world, told, scope="openid profile email", backchannel_logout_uri=OUT)
    parts = world.provider.parts
    with parts.store.begin() as conn:
        parts.clients.change(conn, parts.realms[0], told["client_id"], {"name": "By an operator"}, world.now)
    assert "code" in at(browser, told, prompt="none").answer


@pytest.mark.row("A-13", "P-13")
def test_what_an_operator_changes_brings_no_consent_back(world: World) -> None:
    told = register(world)
    browser = agreed(world, told)
    change(world, told, client_name="The bank")
    parts = world.provider.parts
    with parts.store.begin() as conn:
        parts.clients.change(conn, parts.realms[0], told["client_id"], {"require_pkce": True}, world.now)
    assert at(browser, told, prompt="none").answer["error"] == "consent_required"


@pytest.mark.row("P-10", "P-13")
def test_an_open_page_is_no_consent_for_what_the_client_became_meanwhile(world: World) -> None:
    """Also when it changes twice in one second."""
    told = register(world)
    browser = world.browser()
    page = browser.sign_in(at(browser, told))
    for name in ("The bank", "The other bank"):
        change(world, told, client_name=name)
        page = browser.submit(page, decision="allow")
        assert (page.status, page.main_id) == (400, "page-consent")
        assert name in page.text
    assert "code" in browser.submit(page, decision="allow").answer
