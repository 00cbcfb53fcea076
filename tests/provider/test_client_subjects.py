"""How a client may want its people named: which sector it belongs to, and what a realm does not offer."""

from typing import Any

import pytest

from oidcgate.settings import parse
from provider.client_settings import ClientSettings
from tests.provider.asserting import client
from tests.provider.test_config import problems

BOTH = {"types": ["public", "pairwise"]}
SECTOR = "https://sector.example/uris.json"


def sector(**changes: Any) -> str | None:
    return parse(ClientSettings, client(**changes)).sector


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "app.example", id="one-uri"),
        pytest.param(
            {"redirect_uris": ["https://App.Example/a", "https://app.example:8443/b?c=d"]},
            "app.example",
            id="one-host",
        ),
        pytest.param({"redirect_uris": ["https://a.example/", "https://b.example/"]}, None, id="two-hosts"),
        pytest.param({"redirect_uris": ["https://a.example/", "https://www.a.example/"]}, None, id="below"),
        pytest.param(
            {"sector_identifier_uri": "https://Sector.Example:8443/x"}, "sector.example", id="named"
        ),
        pytest.param(
            {"redirect_uris": ["https://a.example/", "https://b.example/"], "sector_identifier_uri": SECTOR},
            "sector.example",
            id="two-hosts-of-a-sector",
        ),
        pytest.param({"redirect_uris": [], "flows": ["device_code"]}, None, id="none"),
        pytest.param(
            {"redirect_uris": ["http://127.0.0.1/cb"], "application_type": "native"}, None, id="every-device"
        ),
        pytest.param(
            {"redirect_uris": ["com.example.app:/cb"], "application_type": "native"}, None, id="own-scheme"
        ),
        pytest.param(
            {
                "redirect_uris": ["https://app.example/cb", "com.example.app:/cb"],
                "application_type": "native",
            },
            None,
            id="claimed-and-own-scheme",
        ),
        pytest.param(
            {"redirect_uris": ["https://app.example/cb"], "application_type": "native"},
            "app.example",
            id="claimed",
        ),
        pytest.param({"redirect_uris": ["http://localhost:1/cb"]}, "localhost", id="tried-out"),
    ],
)
def test_the_sector(changes: dict[str, Any], expected: str | None) -> None:
    assert sector(**changes) == expected


def wrong(subjects: dict[str, Any], **changes: Any) -> list[str]:
    return [p.removeprefix("clients[0].") for p in problems(subjects=subjects, clients=[client(**changes)])]


PAIRWISE = {"subject_type": "pairwise"}
TWO = {"redirect_uris": ["https://a.example/", "https://b.example/"]}


@pytest.mark.parametrize(
    ("subjects", "changes"),
    [
        pytest.param({}, {}, id="public"),
        pytest.param(BOTH, PAIRWISE, id="pairwise"),
        pytest.param({"types": ["pairwise"], "default": "pairwise"}, PAIRWISE, id="pairwise-only"),
        pytest.param(BOTH, {**PAIRWISE, **TWO, "sector_identifier_uri": SECTOR}, id="two-hosts-of-a-sector"),
        pytest.param(BOTH, {**PAIRWISE, "redirect_uris": [], "flows": ["client_credentials"]}, id="nobody"),
        pytest.param({}, TWO, id="public-needs-no-sector"),
    ],
)
def test_what_is_right(subjects: dict[str, Any], changes: dict[str, Any]) -> None:
    assert wrong(subjects, **changes) == []


@pytest.mark.parametrize(
    ("subjects", "changes", "problem"),
    [
        pytest.param(
            {},
            PAIRWISE,
            "subject_type: 'pairwise' is not offered by this realm; use public, or add it to",
            id="not-offered",
        ),
        pytest.param(
            {"types": ["pairwise"], "default": "pairwise"},
            {},
            "subject_type: 'public' is not offered by this realm; use pairwise, or add it to",
            id="public-not-offered",
        ),
        pytest.param(
            BOTH, {"subject_type": "pairwize"}, "subject_type: 'pairwize' is not one of", id="mistyped"
        ),
        pytest.param(
            BOTH,
            {**PAIRWISE, **TWO},
            "sector_identifier_uri: is missing: redirect_uris name no host, or several",
            id="two-hosts",
        ),
        pytest.param(
            BOTH,
            {**PAIRWISE, "redirect_uris": [], "flows": ["device_code"]},
            "sector_identifier_uri: is missing",
            id="no-host",
        ),
        pytest.param(
            BOTH,
            {**PAIRWISE, "redirect_uris": [], "flows": ["password", "client_credentials"]},
            "sector_identifier_uri: is missing",
            id="people-without-a-browser",
        ),
        pytest.param(
            {}, {"sector_identifier_uri": "http://sector.example/x"}, "sector_identifier_uri: ", id="http"
        ),
        pytest.param(
            {}, {"sector_identifier_uri": "javascript:alert(1)"}, "sector_identifier_uri: ", id="script"
        ),
        pytest.param({}, {"sector_identifier_uri": f"{SECTOR}#x"}, "sector_identifier_uri: ", id="fragment"),
        pytest.param({"types": ["secret"]}, {}, "subjects.types: 'secret' is not one of", id="unknown-type"),
        pytest.param(
            {"default": "pairwise"}, {}, "subjects.default: 'pairwise' is not among `types`", id="default"
        ),
    ],
)
def test_what_is_wrong(subjects: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    (found,) = wrong(subjects, **changes)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(PAIRWISE, "app.example", id="pairwise"),
        pytest.param({}, None, id="public"),
        pytest.param({"sector_identifier_uri": SECTOR}, None, id="public-of-a-named-sector"),
    ],
)
def test_only_pairwise_clients_know_people_by_a_sector(changes: dict[str, Any], expected: str | None) -> None:
    assert parse(ClientSettings, client(**changes)).subject_sector == expected


def test_http_on_this_machine_needs_the_switch() -> None:
    uri = "http://localhost:8000/sector.json"
    said = parse(ClientSettings, client(sector_identifier_uri=uri))
    (problem,) = said.sector_uri_problems(False)
    assert (problem.key, problem.value) == ("sector_identifier_uri", uri)
    assert list(said.sector_uri_problems(True)) == []


def test_every_type_that_is_offered_is_named() -> None:
    (problem,) = parse(ClientSettings, client()).subject_problems(("pairwise", "other"))
    assert problem.fix == "use pairwise or other, or add it to subjects.types"
