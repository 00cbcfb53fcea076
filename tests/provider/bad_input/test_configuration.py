"""Configurations nobody would write: what stands in `provider.toml` is settings or a list of problems.

What is accepted holds together: every name in it leads to something, and a catalogue can be made of it.
"""

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oidcgate.settings import SettingsError, parse
from provider.config import ProviderSettings
from provider.realm import realms_of
from tests.provider.bad_input.mutations import CANARY
from tests.provider.sign_in.place import client, settings_document

TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        *(
            "",
            "openid",
            "profile",
            "read",
            "label",
            "groups",
            "alice",
            "app",
            "*",
            "https://api.example",
            "a/b",
        ),
        *("\0", "\ud800", "..", "RS256", "ES256", "HS256", "none", "jwt", "opaque", "acr", "required", "off"),
        *("sub", "email", "authorization_code", "hybrid", "private_key_jwt", "client_secret_jwt", "id_token"),
        *("https://app.example/cb", "javascript:alert(1)", "http://localhost.evil.test/", "name", "acme"),
        *("A" * 300, "userinfo"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=4)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXTS, SCALARS, max_size=3)


def _tables() -> dict[str, list[str]]:
    """The keys of each list of tables: clients, users, scopes, …"""
    found: dict[str, list[str]] = {}
    for name, kind in ProviderSettings.__annotations__.items():
        found[name] = _keys(kind)
    for base in ProviderSettings.__mro__[1:]:
        for name, kind in getattr(base, "__annotations__", {}).items():
            found.setdefault(name, _keys(kind))
    return found


def _keys(kind: Any) -> list[str]:
    inner = [kind, *getattr(kind, "__args__", ())]
    return [f.name for one in inner if dataclasses.is_dataclass(one) for f in dataclasses.fields(one)]


TABLES = _tables()
LISTS = ("clients", "users", "scopes", "claims", "properties", "resources", "organizations")
SCOPED = [{"value": "read"}, {"value": "view", "claims": ["label"]}]


def document() -> dict[str, Any]:
    """A good configuration with something of everything."""
    made = settings_document(
        database="sqlite:///provider.db",
        clients=[client("app", scopes=["*"]), client("tv", flows=["device_code"], redirect_uris=[])],
        users=[{"user_name": "alice", "attributes": {"label": "x"}, "organizations": ["acme"]}],
        scopes=SCOPED,
        claims=[{"name": "label", "property": "label"}],
        properties=[{"name": "label"}],
        resources=[{"audience": "https://api.example", "scopes": ["read"]}],
        organizations=[{"org_id": "acme"}],
        realms=[{"name": "second"}],
    )
    made["clients"][0]["client_secret"] = f"{CANARY}-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4Ex"
    return made


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A good one in which up to four keys are set to something else, or taken out."""
    made = document()
    for _ in range(draw(st.integers(1, 4))):
        where: dict[str, Any] = made
        name = draw(st.sampled_from(LISTS))
        if draw(st.booleans()):
            where = (
                draw(st.sampled_from(made[name])) if isinstance(made.get(name), list) and made[name] else made
            )
        keys = TABLES[name] if where is not made else [*TABLES, "x"]
        key = draw(st.sampled_from(keys)) if keys else "x"
        if not isinstance(where, dict):
            continue
        if draw(st.booleans()):
            where[key] = draw(VALUES)
        else:
            where.pop(key, None)
    return made


def test_the_tables_are_known_and_the_start_is_good() -> None:
    assert parse(ProviderSettings, document())
    assert {"client_id", "flows"} <= set(TABLES["clients"])
    assert {"value", "claims"} <= set(TABLES["scopes"])
    assert all(TABLES[name] for name in LISTS)


@pytest.mark.row("S-26", "S-27", "S-37", "S-52")
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(spoilt())
@example({**document(), "scopes": [{"value": "read", "claims": ["read", "read"]}]})
@example({**document(), "users": [{"user_name": "alice", "attributes": {"label": float("nan")}}]})
@example(
    {
        **document(),
        "properties": [{"name": "team"}, {"name": "squad", "attribute": "team", "display_name": 7}],
    }
)
def test_whatever_is_written_is_settings_or_problems(data: dict[str, Any]) -> None:
    read, problems = None, ""
    try:
        read = parse(ProviderSettings, data)
    except SettingsError as error:
        problems = str(error)
    # Who reads the problems on a screen does not read the secrets.
    assert CANARY not in problems
    if read is None:
        assert problems
        return
    assert CANARY not in repr(read)
    for realm in realms_of(read):
        catalogue = realm.catalogue
        opened = {name for scope in catalogue.scopes.values() for name in scope.claims or ()}
        assert "openid" in catalogue.scopes
        for one in realm.settings.clients:
            assert {scope for scope in one.scopes if scope != "*"} <= set(catalogue.scopes)
            assert all(uri.startswith(("https://", "http://", "com.")) for uri in one.redirect_uris) or (
                one.application_type == "native"
            )
        for api in catalogue.resources.values():
            assert set(api.scopes) <= set(catalogue.scopes)
        for claim in catalogue.claims.values():
            assert claim.name not in ("iss", "aud", "exp", "sub", "nonce")
        # The subject is told by itself, whichever scope names it.
        assert opened - set(catalogue.claims) <= {"sub"}
