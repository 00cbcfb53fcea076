"""Claims that the provider does not state, but somebody else: absent, told, and nobody is asked.

`A-19`: an app is told what is declared, and nothing else. Groups that Entra keeps are in `test_templates`.
"""

from typing import Any

import pytest

from tests.support.lying_provider import SCRIPT, Scene

pytestmark = pytest.mark.row("A-19")

AGGREGATED = {"src1": {"JWT": "eyJhbGciOiJub25lIn0.eyJwaG9uZV9udW1iZXIiOiIxMTAifQ."}}
DISTRIBUTED = {"src1": {"endpoint": "https://claims.example/alice", "access_token": "of-the-source"}}
KEPT = {"claims": ["name", "phone_number"]}
SOURCES: dict[str, Any] = {
    "provider": {
        "attributes": [{"claim": "_claim_sources", "type": "object"}],
        "mappings": [{"source": "_claim_sources", "target": "sources"}],
    },
    "context": [{"name": "sources", "type": "object"}],
    "session": {"claims": ["sources"]},
}


def signed_in(sources: dict[str, Any], names: list[str], settings: dict[str, Any]) -> tuple[Scene, Any]:
    scene = Scene.set(settings)
    scene.provider.claims |= {"_claim_names": dict.fromkeys(names, "src1"), "_claim_sources": sources}
    browser = scene.browser()
    browser.sign_in()
    return scene, browser.get("/.oidcgate/userinfo", SCRIPT)


@pytest.mark.parametrize("sources", [AGGREGATED, DISTRIBUTED], ids=["aggregated", "distributed"])
def test_they_are_absent_and_told_without_what_is_secret(sources: dict[str, Any]) -> None:
    scene, shown = signed_in(sources, ["phone_number"], {"session": KEPT})

    assert (shown.status_code, "phone_number" in shown.text) == (200, False)
    (told,) = (line for line in scene.audit if line["event"] == "login.claims_elsewhere")
    assert told["claims"] == ["phone_number"]
    assert not any(secret in f"{scene.audit} {shown.text}" for secret in ("of-the-source", "eyJhbGci"))


@pytest.mark.parametrize("sources", [AGGREGATED, DISTRIBUTED], ids=["aggregated", "distributed"])
def test_nobody_comes_in_under_a_name_that_somebody_else_states(sources: dict[str, Any]) -> None:
    scene = Scene.set({"users": {"match": "phone_number"}})
    scene.provider.claims |= {"_claim_names": {"phone_number": "src1"}, "_claim_sources": sources}

    browser = scene.browser()
    assert browser.sign_in().status_code == 400
    assert not browser.has_session()
    assert scene.reasons() == ["username_missing"]


def test_an_app_that_fetches_by_itself_is_told_where_when_the_operator_says_so() -> None:
    _, shown = signed_in(DISTRIBUTED, ["phone_number"], SOURCES)

    assert shown.json["claims"]["sources"] == DISTRIBUTED
