"""Arrays at a `sector_identifier_uri`: what is asked, when, and what is refused."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.settings import SettingsError
from provider.services.outbound import MAX_BYTES, Outbound
from provider.services.sectors import Sectors
from tests.provider.registering import manage, register, registered, registering
from tests.provider.world import World, error_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECTOR = "https://sector.example/uris.json"
ONE, TWO = "https://a.example/cb", "https://b.example/cb"
PAIRWISE = {"subjects": {"types": ["public", "pairwise"]}}
NO_SECTOR = "sector_identifier_uri: leads to no JSON array that lists every redirect URI"
SAID = {"sector_identifier_uri": SECTOR, "redirect_uris": [ONE, TWO]}


@dataclass
class SectorServer:
    """Serves an array, or what is put in its place."""

    body: bytes = json.dumps([ONE, TWO, "https://c.example/"]).encode()
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    look: Any = None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self.asked.append(f"https://{environ['HTTP_HOST']}{environ['PATH_INFO']}")
        if self.look is not None:
            self.look()
        start_response(self.status, self.headers)
        return [self.body]

    def fetcher(self) -> Fetcher:
        return Fetcher(AddressRules(), adapter=WSGIAdapter(self), max_bytes=MAX_BYTES)


def refused(server: SectorServer, said: dict[str, Any] = SAID) -> str:
    with pytest.raises(SettingsError) as caught:
        Sectors(Outbound.through(server.fetcher())).check(said)
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == ("sector_identifier_uri", said["sector_identifier_uri"])
    return f"{problem.message}; {problem.fix}"


def test_an_array_that_lists_all_is_right_whatever_else_it_lists() -> None:
    server = SectorServer()
    Sectors(Outbound.through(server.fetcher())).check(SAID)
    Sectors(Outbound.through(server.fetcher())).check({**SAID, "redirect_uris": (TWO,)})
    assert server.asked == [SECTOR, SECTOR]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"sector_identifier_uri": "", "redirect_uris": [ONE]}, id="none"),
        pytest.param({"sector_identifier_uri": 7, "redirect_uris": [ONE]}, id="no-text"),
        pytest.param({"sector_identifier_uri": SECTOR, "redirect_uris": 7}, id="no-list"),
    ],
)
def test_what_names_no_sector_or_is_judged_elsewhere_asks_nobody(said: dict[str, Any]) -> None:
    server = SectorServer()
    Sectors(Outbound.through(server.fetcher())).check(said)
    assert server.asked == []


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("server", "reason"),
    [
        pytest.param(SectorServer(json.dumps([ONE]).encode()), f"every redirect URI; add '{TWO}'",
                     id="one-is-missing"),
        pytest.param(SectorServer(json.dumps([ONE, TWO + "/"]).encode()), "does not list", id="nearly"),
        pytest.param(SectorServer(json.dumps([[ONE, TWO]]).encode()), "does not list", id="deeper"),
        pytest.param(SectorServer(json.dumps({"uris": [ONE, TWO]}).encode()), "not an array", id="object"),
        pytest.param(SectorServer(b"<html>"), "not JSON", id="page"),
        pytest.param(SectorServer(b"[" * 50_000), "not JSON", id="bomb"),
        pytest.param(SectorServer(json.dumps(["x" * MAX_BYTES]).encode()), "too_large", id="long"),
        pytest.param(SectorServer(status="404 Not Found"), "status 404", id="not-found"),
        pytest.param(SectorServer(status="500 Oh"), "status 500", id="broken"),
        pytest.param(
            SectorServer(status="302 Found", headers=[("Location", "https://a.example/")]), "not followed",
            id="redirect",
        ),
    ],
)  # fmt: skip
def test_what_is_no_sector(server: SectorServer, reason: str) -> None:
    assert reason in refused(server)


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("http://sector.example/uris.json", id="http"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("https://169.254.169.254/latest", id="metadata"),
        pytest.param("https://[::1]/uris.json", id="loopback"),
        pytest.param("https://rebound.example/uris.json", id="a-name-that-leads-inside"),
    ],
)
def test_nothing_is_fetched_from_inside(uri: str) -> None:
    inner = Fetcher(AddressRules(), resolver=lambda host, port: [ip_address("192.168.0.7")])
    with pytest.raises(SettingsError, match="refused_"):
        Sectors(Outbound.through(inner)).check({**SAID, "sector_identifier_uri": uri})


def world_of(database: Path, server: SectorServer) -> World:
    return registering(database, fetcher=server.fetcher(), **PAIRWISE)


WANTED = {"subject_type": "pairwise", "sector_identifier_uri": SECTOR, "redirect_uris": [ONE, TWO]}


@pytest.mark.row("P-09", "E-23")
def test_oidcc_registration_sector_uri(database: Path) -> None:
    server = SectorServer()
    world = world_of(database, server)
    pool, busy = world.provider.parts.store.engine.pool, list[int]()
    server.look = lambda: busy.append(pool.checkedout())
    told = registered(world, **WANTED)
    assert (told["subject_type"], told["sector_identifier_uri"]) == ("pairwise", SECTOR)
    # Asked once, while nothing is open in the database.
    assert (server.asked, busy) == ([SECTOR], [0])
    # A change within what was seen asks nobody, one beyond it does.
    changed = {"client_id": told["client_id"], **WANTED, "redirect_uris": [TWO], "client_name": "Another"}
    assert manage(world, "PUT", told, changed).status_code == 200
    assert len(server.asked) == 1
    server.body = b"[]"
    assert error_of(manage(world, "PUT", told, {**changed, "redirect_uris": [ONE]})) == (
        400, "invalid_client_metadata"
    )  # fmt: skip
    assert len(server.asked) == 2


@pytest.mark.row("P-09", "E-23")
@pytest.mark.parametrize("subject_type", ["public", "pairwise"])
def test_oidcc_registration_sector_bad(database: Path, subject_type: str) -> None:
    world = world_of(database, SectorServer(json.dumps([ONE]).encode()))
    response = register(world, {**WANTED, "subject_type": subject_type})
    assert error_of(response) == (400, "invalid_client_metadata")
    assert response.get_json()["error_description"] == NO_SECTOR
    assert world.rows("clients") == []


@pytest.mark.row("P-09")
def test_a_stranger_is_not_told_what_is_inside(database: Path) -> None:
    inner = Fetcher(AddressRules(), resolver=lambda host, port: [ip_address("192.168.0.7")])
    world = registering(database, fetcher=inner, **PAIRWISE)
    told = set()
    for uri in ("https://10.0.0.1/x", "https://rebound.example/x"):
        response = register(world, {**WANTED, "sector_identifier_uri": uri})
        assert response.status_code == 400
        told.add(response.get_data())
    assert told == {f'{{"error":"invalid_client_metadata","error_description":"{NO_SECTOR}"}}'.encode()}


@pytest.mark.row("P-09", "P-13")
@pytest.mark.parametrize(
    ("said", "registration", "status"),
    [
        pytest.param({"scope": "nothing-of-ours"}, {}, 400, id="scope"),
        pytest.param({"grant_types": ["password"]}, {}, 400, id="flow"),
        pytest.param({"sector_identifier_uri": "https://127.0.0.1/x"}, {}, 400, id="this-machine"),
        pytest.param({"redirect_uris": ["https://*.example/"]}, {}, 400, id="rule-of-every-client"),
        pytest.param({}, {"max_clients": 1}, 503, id="no-room"),
    ],
)
def test_nobody_is_asked_because_of_what_may_not_be_registered(
    database: Path, said: dict[str, Any], registration: dict[str, Any], status: int
) -> None:
    server = SectorServer()
    world = registering(database, fetcher=server.fetcher(), registration=registration, **PAIRWISE)
    told = registered(world)
    assert register(world, {**WANTED, **said}).status_code == status
    if said:
        changed = {"client_id": told["client_id"], **WANTED, **said}
        assert manage(world, "PUT", told, changed).status_code == status
    assert server.asked == []


@pytest.mark.parametrize("method", ["wrong-token", "no-token"])
def test_nobody_has_others_asked_without_a_token(database: Path, method: str) -> None:
    server = SectorServer()
    world = world_of(database, server)
    told = registered(world)
    token = "x" * 43 if method == "wrong-token" else ""
    assert register(world, WANTED, token=token).status_code == 401
    changed = {"client_id": told["client_id"], **WANTED}
    assert manage(world, "PUT", told, changed, token=token).status_code == 401
    assert server.asked == []


@pytest.mark.row("P-13")
@pytest.mark.parametrize("update", [False, True], ids=["at-creation", "by-update"])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"redirect_uris": ["https://bank.example/cb"]}, id="named-by-a-redirect-uri"),
        pytest.param({"redirect_uris": [], "sector_identifier_uri": SECTOR}, id="nothing-is-listed"),
        pytest.param(WANTED, id="listed"),
    ],
)
def test_who_registers_itself_and_collects_tokens_belongs_to_no_sector(
    database: Path, update: bool, changes: dict[str, Any]
) -> None:
    """Not even where the sector's array lists what it names: anybody may name that."""
    device = "urn:ietf:params:oauth:grant-type:device_code"
    flows = ["authorization_code", "device_code"]
    world = registering(database, fetcher=SectorServer().fetcher(), registration={"flows": flows}, **PAIRWISE)
    grants = [device, *(["authorization_code"] if changes["redirect_uris"] else [])]
    said = {"subject_type": "pairwise", **changes, "grant_types": grants}
    if not changes["redirect_uris"]:
        said["response_types"] = []
    if update:
        told = registered(world)
        response = manage(world, "PUT", told, {"client_id": told["client_id"], **said})
    else:
        response = register(world, said)
    assert response.status_code == 400, response.text
    assert "subject_type: is not for" in response.get_json()["error_description"]


@pytest.mark.parametrize("default", ["public", "pairwise"])
def test_a_client_that_names_no_subject_type_has_the_realms(database: Path, default: str) -> None:
    world = registering(database, subjects={**PAIRWISE["subjects"], "default": default})
    told = registered(world)
    assert told["subject_type"] == default
    other = "pairwise" if default == "public" else "public"
    changed = {"client_id": told["client_id"], "redirect_uris": told["redirect_uris"]}
    response = manage(world, "PUT", told, {**changed, "subject_type": other})
    assert response.get_json()["subject_type"] == other
    assert manage(world, "PUT", told, changed).get_json()["subject_type"] == default
