"""Issuers of many tenants."""

from typing import Any

import pytest

from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.tenants import issuer_in

PATTERN = "https://login.example/{tenantid}/v2.0"
OURS = ("11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-aaaaaaaaaaaa")


@pytest.mark.parametrize("tenant", OURS)
def test_the_tenant_of_the_token_is_put_in_its_place(tenant: str) -> None:
    assert issuer_in(PATTERN, {"tid": tenant}, OURS) == f"https://login.example/{tenant}/v2.0"


@pytest.mark.parametrize("claims", [{}, {"tid": "another"}, {"tid": 5}])
def test_an_issuer_without_a_place_asks_nothing(claims: dict[str, Any]) -> None:
    assert issuer_in("https://id.example", claims, ()) == "https://id.example"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="none"),
        pytest.param({"tid": "another"}, id="another"),
        pytest.param({"tid": [OURS[0]]}, id="a-list"),
        pytest.param({"tid": None}, id="null"),
        pytest.param({"TID": OURS[0]}, id="in-capitals"),
        pytest.param({"tid": OURS[0].upper() + "x"}, id="longer"),
    ],
)
def test_a_tenant_that_may_not_come_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        issuer_in(PATTERN, claims, OURS)
    assert refused.value.reason is Reason.ID_TOKEN_TENANT
    assert refused.value.detail == "the tenant is not one of provider.allowed_tenants"


def test_what_is_in_a_collection_of_more_than_texts_is_no_tenant() -> None:
    with pytest.raises(Refused):
        issuer_in(PATTERN, {"tid": 5}, (5,))  # type: ignore[arg-type]  # what a caller without types could give
