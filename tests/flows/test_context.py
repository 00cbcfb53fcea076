"""What a real provider says of people, as a real app behind the gate hears it."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.sites import (
    APP,
    CLIENT_SECRET,
    PASSWORDS,
    App,
    Clock,
    Sites,
    _hash_of,
    make_gate,
    make_provider,
)

CLIENT = {
    "client_id": "gate",
    "name": "The app",
    "client_secret": CLIENT_SECRET,
    "redirect_uris": [f"{APP}/.oidcgate/callback"],
    "acr_profile": "entrust-saml",
    "scopes": ["openid", "profile", "email", "groups", "work"],
}
PROVIDER: dict[str, Any] = {
    "clients": [CLIENT],
    "properties": [{"name": "department", "attribute": "ou"}],
    "claims": [{"name": "https://example.com/department", "property": "department", "into": ["userinfo"]}],
    "scopes": [
        {"value": "work", "display_name": "Work", "claims": ["https://example.com/department"]},
        {"value": "groups"},
    ],
    "users": [
        {
            "user_name": "alice",
            "password_hash": _hash_of(PASSWORDS["alice"]),
            "name": "Alice",
            "email": "alice@id.example",
            "groups": ["staff", "sales, north"],
            "attributes": {"ou": "Žilina"},
        }
    ],
}
WORK = {
    "attributes": [{"claim": r"https://example\.com/department", "display_name": "Department"}],
    "mappings": [{"source": r"https://example\.com/department", "target": "department"}],
}


def signed_in(folder: Path, provider: dict[str, Any], **gate: Any) -> tuple[Sites, dict[str, Any]]:
    """The parts, and what the app was told at alice's first request."""
    clock, events, app = Clock(), list[str](), App()
    idp = make_provider(folder, clock, events, **PROVIDER)
    scopes = ["openid", "profile", "email", "groups", "work"]
    made = make_gate(app, idp, folder, clock, events, provider={"scopes": scopes, **provider}, **gate)
    sites = Sites(made, app, idp, clock, events)
    agent = sites.user_agent()
    page = agent.sign_in(agent.open(f"{APP}/"), "alice", PASSWORDS["alice"])
    told: dict[str, Any] = page.response.json()
    return sites, told


@pytest.mark.row("A-11", "A-12", "A-19", "A-20", "A-22", "A-25")
def test_groups_and_attributes_of_userinfo_reach_session_and_headers(tmp_path: Path) -> None:
    sites, told = signed_in(
        tmp_path,
        {"get_user_info": True, "fetch_groups": True, **WORK},
        context=[{"name": "department"}],
        forward={
            "preset": "oauth2-proxy",
            "headers": [{"name": "X-Department", "attribute": "department"}],
        },
    )
    assert told["claims"] == {
        "preferred_username": "alice",
        "name": "Alice",
        "email": "alice@id.example",
        "groups": ["staff", "sales, north"],
        "department": "Žilina",
    }
    environ = sites.app.calls[-1]
    assert environ["HTTP_X_FORWARDED_GROUPS"] == "staff,sales%2C north"
    assert environ["HTTP_X_DEPARTMENT"].encode("latin-1").decode() == "Žilina"


@pytest.mark.row("A-10", "A-11", "A-12", "A-21")
def test_with_both_options_off_nothing_is_fetched_and_there_are_no_groups(tmp_path: Path) -> None:
    _, told = signed_in(tmp_path, {})
    assert told["claims"] == {"preferred_username": "alice"}


@pytest.mark.row("A-16", "A-17")
@pytest.mark.parametrize(
    ("provider", "amr"),
    [
        ({}, ("pwd",)),
        ({"acr_to_amr": {"urn:oasis:names:tc:SAML:2.0:ac:classes:Password": "swk"}}, ("swk",)),
        (
            {"amr": ["mfa"], "acr_to_amr": {"urn:oasis:names:tc:SAML:2.0:ac:classes:Password": "swk"}},
            ("mfa",),
        ),
    ],
    ids=["as it came", "by the table", "as it is set"],
)
def test_methods_of_a_client_that_is_told_saml_classes(
    tmp_path: Path, provider: dict[str, Any], amr: tuple[str, ...]
) -> None:
    sites, _ = signed_in(tmp_path, provider)
    identity = sites.app.calls[-1]["oidcgate.identity"]
    assert identity.acr == "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
    assert identity.amr == amr
