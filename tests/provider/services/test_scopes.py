"""What would be granted of a scope, and for which API: by a table, and what holds for every request."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidScope, InvalidTarget
from provider.catalogue import Catalogue
from provider.catalogue_settings import ResourceSettings, ScopeSettings
from provider.services.scopes import (
    Reach,
    api_named,
    of_access_token,
    reach_of,
    reach_of_client,
    scopes_open_to,
    still_open,
)
from provider.store.clients import Client

ORDERS = ResourceSettings(audience="https://orders.example", scopes=("read", "write"))
STOCK = ResourceSettings(audience="https://stock.example", scopes=("read", "count"), refresh_tokens=False)
OFF = ResourceSettings(audience="https://off.example", scopes=("read",), enabled=False)
CLOSED = ResourceSettings(audience="https://closed.example", scopes=("read",), clients=("somebody", "else"))
TOLD = ResourceSettings(audience="https://told.example", scopes=("read",), include=("oidc_scopes",))
CATALOGUE = Catalogue.of(
    [
        *(ScopeSettings(value=value) for value in ("read", "write", "count", "loose")),
        ScopeSettings(value="staff", claims=("role",)),
        ScopeSettings(value="gone", enabled=False),
    ],
    (),
    (ORDERS, STOCK, OFF, CLOSED, TOLD),
    (),
)
ALL = ("openid", "profile", "email", "offline_access", "read", "write", "count", "loose", "staff", "gone")


def client(**changes: Any) -> Client:
    settings: dict[str, Any] = {"flows": ("authorization_code", "refresh_token"), "scopes": ("*",), **changes}
    return Client("app", True, 0, "The app", "none", (), (), trusted=False, **settings)


@pytest.mark.row("E-17", "S-52")
@pytest.mark.parametrize(
    ("asked", "audience", "granted"),
    [
        pytest.param(["openid"], None, ("openid",), id="one"),
        pytest.param(["email", "openid", "email"], None, ("email", "openid"), id="in-order-each-once"),
        pytest.param(["openid", "nothing", "gone"], None, ("openid",), id="unknown-and-gone-are-ignored"),
        pytest.param(["openid", "loose"], None, ("openid", "loose"), id="of-no-api"),
        pytest.param(["openid", "read"], ORDERS.audience, ("openid", "read"), id="of-the-api"),
        pytest.param(["read"], STOCK.audience, ("read",), id="shared-with-another"),
        pytest.param(["openid", "offline_access"], None, ("openid", "offline_access"), id="refreshed"),
        pytest.param(["openid", "offline_access"], STOCK.audience, ("openid",), id="never-refreshed-for-it"),
        pytest.param(
            ["openid", "offline_access"], ORDERS.audience, ("openid", "offline_access"), id="refreshed-for-it"
        ),
    ],
)
def test_granted(asked: list[str], audience: str | None, granted: tuple[str, ...]) -> None:
    reach = reach_of(CATALOGUE, client(), asked, audience, refreshable=True)
    assert reach.scopes == granted
    assert reach.audience == audience
    assert (reach.api is None) == (audience is None)


@pytest.mark.row("E-17", "S-52")
@pytest.mark.parametrize(
    ("asked", "audience", "changes", "error", "named"),
    [
        pytest.param(["read"], None, {}, InvalidScope, "read", id="of-an-api-not-named"),
        pytest.param(["openid", "count"], ORDERS.audience, {}, InvalidScope, "count", id="of-another-api"),
        pytest.param(
            ["read", "openid", "count"], None, {}, InvalidScope, r": read count\.", id="of-two-apis"
        ),
        pytest.param(
            ["email", "openid", "write"],
            None,
            {"scopes": ("openid",)},
            InvalidScope,
            r": email write\.",
            id="two-not-had",
        ),
        pytest.param([], None, {}, InvalidScope, "nothing", id="nothing"),
        pytest.param(["nothing"], None, {}, InvalidScope, "nothing", id="nothing-known"),
        pytest.param(["offline_access"], STOCK.audience, {}, InvalidScope, "nothing", id="nothing-is-left"),
        pytest.param(
            ["openid", "email"], None, {"scopes": ("openid",)}, InvalidScope, "email", id="not-allowed"
        ),
        pytest.param(
            ["openid", "email"],
            None,
            {"restricted_scopes": ("email",)},
            InvalidScope,
            "email",
            id="restricted",
        ),
        pytest.param(["openid"], "https://x.example", {}, InvalidTarget, "API", id="unknown-api"),
        pytest.param(["openid"], OFF.audience, {}, InvalidTarget, "API", id="api-off"),
        pytest.param(["openid"], CLOSED.audience, {}, InvalidTarget, "API", id="api-of-others"),
    ],
)
def test_refused(
    asked: list[str], audience: str | None, changes: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        reach_of(CATALOGUE, client(**changes), asked, audience, refreshable=True)


@pytest.mark.row("S-50")
@pytest.mark.parametrize(
    ("refreshable", "flows"),
    [
        pytest.param(False, ("authorization_code", "refresh_token"), id="flow-gives-none"),
        pytest.param(True, ("authorization_code",), id="client-does-not-refresh"),
    ],
)
def test_offline_access_is_ignored_where_it_leads_to_nothing(
    refreshable: bool, flows: tuple[str, ...]
) -> None:
    asked = ["openid", "offline_access"]
    reach = reach_of(CATALOGUE, client(flows=flows), asked, None, refreshable=refreshable)
    assert reach == Reach(("openid",), None)


@pytest.mark.row("E-17")
def test_an_api_may_be_open_to_some() -> None:
    assert api_named(CATALOGUE, replace(client(), client_id="else"), CLOSED.audience) is CLOSED


@pytest.mark.row("E-10", "E-17")
@pytest.mark.parametrize(
    ("api", "carried"),
    [
        pytest.param(None, ("openid", "write", "read"), id="none-in-particular"),
        pytest.param(ORDERS, ("write", "read"), id="what-means-something-there"),
        pytest.param(STOCK, ("read",), id="less"),
        pytest.param(TOLD, ("openid", "write", "read"), id="told-all"),
    ],
)
def test_carried(api: ResourceSettings | None, carried: tuple[str, ...]) -> None:
    assert of_access_token(("openid", "write", "read"), api) == carried


@pytest.mark.row("E-09")
@pytest.mark.parametrize(
    ("asked", "audience", "granted"),
    [
        pytest.param(None, ORDERS.audience, ("read", "write"), id="all-that-is-open"),
        pytest.param([], STOCK.audience, ("read", "count"), id="empty-is-all"),
        pytest.param(["write"], ORDERS.audience, ("write",), id="one"),
        pytest.param(
            ["openid", "email", "staff", "offline_access", "read"], ORDERS.audience, ("read",), id="no-person"
        ),
        pytest.param(["loose"], None, ("loose",), id="of-no-api"),
    ],
)
def test_granted_to_a_client_itself(
    asked: list[str] | None, audience: str | None, granted: tuple[str, ...]
) -> None:
    reach = reach_of_client(CATALOGUE, client(), asked, audience)
    assert (reach.scopes, reach.audience) == (granted, audience)


@pytest.mark.row("E-09", "S-52")
@pytest.mark.parametrize(
    ("asked", "audience"),
    [
        pytest.param(None, None, id="nothing-and-no-api"),
        pytest.param(["openid", "profile", "staff", "offline_access"], None, id="only-about-a-person"),
        pytest.param(["loose"], ORDERS.audience, id="means-nothing-there"),
    ],
)
def test_nothing_for_a_client_itself(asked: list[str] | None, audience: str | None) -> None:
    with pytest.raises(InvalidScope):
        reach_of_client(CATALOGUE, client(), asked, audience)


@pytest.mark.row("E-09", "E-12")
def test_a_scope_of_an_api_is_a_clients_too_although_it_opens_claims() -> None:
    desk = ResourceSettings(audience="https://desk.example", scopes=("desk",))
    catalogue = Catalogue.of([ScopeSettings(value="desk", claims=("email",))], (), [desk], ())
    assert reach_of_client(catalogue, client(), ["desk"], desk.audience).scopes == ("desk",)


@pytest.mark.row("S-52")
def test_every_scope_that_is_forbidden_is_named() -> None:
    with pytest.raises(InvalidScope, match="for: openid email"):
        reach_of(CATALOGUE, client(scopes=()), ["openid", "email"], None, refreshable=True)


@pytest.mark.row("E-17")
@pytest.mark.parametrize(
    ("audience", "why"),
    [
        pytest.param("https://x.example", "is not among the resources", id="unknown"),
        pytest.param(OFF.audience, "is switched off", id="off"),
        pytest.param(CLOSED.audience, "does not list this client", id="of-others"),
    ],
)
def test_only_the_log_says_why_an_api_is_not_open(audience: str, why: str) -> None:
    with pytest.raises(InvalidTarget) as caught:
        api_named(CATALOGUE, client(), audience)
    assert caught.value.detail == f"the API {audience!r} {why}"
    assert audience not in str(caught.value.description)
    assert why not in str(caught.value.description)


@pytest.mark.row("E-17")
def test_the_log_says_what_was_asked_for_in_vain() -> None:
    with pytest.raises(InvalidScope) as caught:
        reach_of(CATALOGUE, client(), ["nothing", "gone"], None, refreshable=True)
    assert caught.value.detail == "nothing that can be granted is in 'nothing gone'"


@pytest.mark.row("S-52")
def test_what_is_open_to_a_client() -> None:
    assert scopes_open_to(CATALOGUE, client(), None) == ()
    assert scopes_open_to(CATALOGUE, client(restricted_scopes=("write",)), ORDERS.audience) == ("read",)
    assert scopes_open_to(CATALOGUE, client(scopes=("write",)), ORDERS.audience) == ("write",)
    assert scopes_open_to(CATALOGUE, replace(client(), client_id="else"), CLOSED.audience) == ("read",)
    for closed in (OFF, CLOSED):
        with pytest.raises(InvalidTarget):
            scopes_open_to(CATALOGUE, client(), closed.audience)


@pytest.mark.row("S-52")
@pytest.mark.parametrize(
    ("changes", "left"),
    [
        pytest.param({}, ("openid", "email"), id="but-what-the-realm-lost"),
        pytest.param({"scopes": ("email", "gone")}, ("email",), id="but-what-the-client-lost"),
        pytest.param({"restricted_scopes": ("email",)}, ("openid",), id="but-what-was-restricted"),
    ],
)
def test_what_was_granted_is_still_open(changes: dict[str, Any], left: tuple[str, ...]) -> None:
    assert still_open(CATALOGUE, client(**changes), ("openid", "gone", "email")) == left


SCOPES = st.sampled_from([*ALL, "nothing"])
AUDIENCES = st.none() | st.sampled_from([*CATALOGUE.resources, "https://x.example"])
CLIENTS = st.builds(
    client,
    flows=st.lists(st.sampled_from(["authorization_code", "refresh_token"]), unique=True).map(tuple),
    scopes=st.just(("*",)) | st.lists(SCOPES, unique=True).map(tuple),
    restricted_scopes=st.lists(SCOPES, unique=True, max_size=2).map(tuple),
)


@pytest.mark.row("S-52", "E-17")
@given(CLIENTS, st.lists(SCOPES), AUDIENCES, st.booleans())
def test_never_more_than_was_asked_for_and_is_allowed(
    asking: Client, asked: list[str], audience: str | None, refreshable: bool
) -> None:
    try:
        reach = reach_of(CATALOGUE, asking, asked, audience, refreshable=refreshable)
    except (InvalidScope, InvalidTarget):
        return
    assert reach.scopes
    assert set(reach.scopes) <= set(asked) & set(CATALOGUE.scopes)
    assert all(asking.may_have(scope) for scope in reach.scopes)
    assert len(set(reach.scopes)) == len(reach.scopes)
    elsewhere = CATALOGUE.of_apis() - set(reach.api.scopes if reach.api is not None else ())
    assert not elsewhere & set(reach.scopes)
    assert set(of_access_token(reach.scopes, reach.api)) <= set(reach.scopes)


OPENED = replace(CATALOGUE, open_to_registered=frozenset({ORDERS.audience, OFF.audience, CLOSED.audience}))


@pytest.mark.row("S-52", "P-13")
@pytest.mark.parametrize(
    ("catalogue", "audience", "changes", "why"),
    [
        pytest.param(
            CATALOGUE,
            ORDERS.audience,
            {},
            "is not open to clients that registered themselves",
            id="lists-none",
        ),
        pytest.param(
            OPENED,
            STOCK.audience,
            {},
            "is not open to clients that registered themselves",
            id="another-is-open",
        ),
        pytest.param(OPENED, ORDERS.audience, {}, None, id="opened-by-the-policy"),
        pytest.param(OPENED, OFF.audience, {}, "is switched off", id="opened-and-off"),
        pytest.param(OPENED, CLOSED.audience, {}, "does not list this client", id="lists-others"),
        pytest.param(CATALOGUE, CLOSED.audience, {"client_id": "else"}, None, id="lists-this-one"),
        pytest.param(CATALOGUE, ORDERS.audience, {"registration_hash": None}, None, id="of-an-operator"),
    ],
)
def test_every_application_does_not_mean_those_that_registered_themselves(
    catalogue: Catalogue, audience: str, changes: dict[str, Any], why: str | None
) -> None:
    stranger = replace(client(), **{"registration_hash": "h" * 64, **changes})
    if why is None:
        assert api_named(catalogue, stranger, audience).audience == audience
        return
    with pytest.raises(InvalidTarget) as caught:
        api_named(catalogue, stranger, audience)
    assert caught.value.detail == f"the API {audience!r} {why}"
    assert caught.value.description == "This API is unknown, or not open to this client."
