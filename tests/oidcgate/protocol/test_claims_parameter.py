"""The `claims` parameter: what it asks for, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.claims_parameter import (
    AcrRequest,
    AmrRequest,
    ClaimRequest,
    ClaimsRequest,
    parse_claims,
)
from oidcgate.protocol.errors import InvalidRequest


@pytest.mark.row("E-14", "E-15")
@pytest.mark.parametrize(
    ("acr", "expected"),
    [
        pytest.param(None, AcrRequest(), id="null"),
        pytest.param({}, AcrRequest(), id="nothing-said"),
        pytest.param({"essential": True}, AcrRequest((), True), id="essential-any"),
        pytest.param({"values": ["b", "a"]}, AcrRequest(("b", "a")), id="values"),
        pytest.param({"value": "a"}, AcrRequest(("a",)), id="value"),
        pytest.param(
            {"essential": True, "value": "a", "values": ["b", "a"], "other": []},
            AcrRequest(("a", "b"), True),
            id="all-and-more",
        ),
    ],
)
def test_what_is_said_of_acr(acr: Any, expected: AcrRequest) -> None:
    assert parse_claims(json.dumps({"id_token": {"acr": acr}})).acr == expected
    assert parse_claims(json.dumps({"userinfo": {"acr": acr}})).acr == AcrRequest()


@pytest.mark.row("E-14", "E-16")
def test_methods_are_asked_for_as_microsofts_applications_do() -> None:
    asked = parse_claims('{"id_token":{"amr":{"essential":true,"values":["mfa","otp","mfa"]}}}')
    assert asked.amr == AmrRequest(("mfa", "otp"), True)
    assert parse_claims('{"userinfo":{"amr":{"essential":true,"values":["mfa"]}}}').amr == AmrRequest()


@pytest.mark.row("E-14")
def test_single_claims_are_asked_for_by_name() -> None:
    asked = parse_claims(
        '{"userinfo":{"email":null,"picture":{"essential":false},"level":{"value":null,"values":[2,[3]]}},'
        '"id_token":{"name":{"essential":true},"acr":{"value":"2"},"name#de":null},"other":[]}'
    )
    assert asked == ClaimsRequest(
        acr=AcrRequest(("2",)),
        userinfo={
            "email": ClaimRequest(),
            "picture": ClaimRequest(False),
            "level": ClaimRequest(False, (None, 2, [3])),
        },
        id_token={
            "name": ClaimRequest(True),
            "acr": ClaimRequest(False, ("2",)),
            "name#de": ClaimRequest(),
        },
    )
    with pytest.raises(TypeError):
        asked.id_token["sub"] = ClaimRequest()


@pytest.mark.parametrize("text", [None, "{}", '{"userinfo":null,"id_token":{}}', '{"userinfo":{}}'])
def test_nothing_may_be_asked_for(text: str | None) -> None:
    assert parse_claims(text) == ClaimsRequest()


@pytest.mark.row("E-14")
@pytest.mark.parametrize(
    ("document", "sub"),
    [
        pytest.param({"id_token": {"sub": None}}, None, id="null"),
        pytest.param({"id_token": {"sub": {"essential": True}}}, None, id="any"),
        pytest.param({"id_token": {"sub": {"value": "a"}}}, "a", id="id-token"),
        pytest.param({"userinfo": {"sub": {"value": "a"}}}, "a", id="userinfo"),
        pytest.param(
            {"userinfo": {"sub": {"value": "a"}}, "id_token": {"sub": {"values": ["a"]}}}, "a", id="both"
        ),
        pytest.param({"id_token": {"sub": {"value": "a" * 255}}}, "a" * 255, id="longest"),
    ],
)
def test_one_person_may_be_asked_for(document: dict[str, Any], sub: str | None) -> None:
    assert parse_claims(json.dumps(document)).sub == sub


def test_a_hundred_claims_of_two_hundred_characters_are_read() -> None:
    names = ["n", *(f"{number:0200}" for number in range(99))]
    asked = parse_claims(
        json.dumps({"id_token": dict.fromkeys(names[:50]), "userinfo": dict.fromkeys(names[50:])})
    )
    assert [*asked.id_token, *asked.userinfo] == names


@pytest.mark.row("E-14")
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param("", id="empty"),
        pytest.param("acr", id="no-json"),
        pytest.param("[]", id="list"),
        pytest.param('{"a":1,"a":1}', id="twice"),
        pytest.param('{"id_token":[]}', id="id-token-list"),
        pytest.param('{"id_token":false}', id="id-token-boolean"),
        pytest.param('{"userinfo":"x"}', id="userinfo-text"),
        pytest.param('{"id_token":{"acr":"mfa"}}', id="acr-text"),
        pytest.param('{"id_token":{"name":true}}', id="claim-boolean"),
        pytest.param('{"userinfo":{"name":[]}}', id="claim-list"),
        pytest.param('{"id_token":{"acr":{"essential":"true"}}}', id="essential-text"),
        pytest.param('{"id_token":{"acr":{"essential":1}}}', id="essential-number"),
        pytest.param('{"userinfo":{"name":{"essential":null}}}', id="essential-null"),
        pytest.param('{"id_token":{"acr":{"values":"mfa"}}}', id="values-text"),
        pytest.param('{"userinfo":{"name":{"values":{}}}}', id="values-object"),
        pytest.param('{"id_token":{"acr":{"values":[1]}}}', id="acr-number"),
        pytest.param('{"id_token":{"acr":{"value":null}}}', id="acr-value-null"),
        pytest.param('{"id_token":{"acr":{"values":[""]}}}', id="acr-empty"),
        pytest.param('{"id_token":{"amr":{"values":[["mfa"]]}}}', id="amr-list"),
        pytest.param('{"id_token":{"amr":{"value":""}}}', id="amr-empty"),
        pytest.param('{"userinfo":{"sub":{"value":7}}}', id="sub-number"),
        pytest.param('{"id_token":{"sub":{"value":""}}}', id="sub-empty"),
        pytest.param('{"id_token":{"sub":{"value":"\\u00e4"}}}', id="sub-not-ascii"),
        pytest.param('{"id_token":{"sub":{"value":"a\\u0000"}}}', id="sub-nul"),
        pytest.param('{"id_token":{"sub":{"value":"%s"}}}' % ("a" * 256), id="sub-oversized"),
        pytest.param('{"id_token":{"sub":{"value":"a","values":["b"]}}}', id="sub-two-values"),
        pytest.param(
            '{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}', id="sub-two-people"
        ),
        pytest.param('{"id_token":{"":null}}', id="name-empty"),
        pytest.param('{"userinfo":{"%s":null}}' % ("n" * 201), id="name-oversized"),
        pytest.param(json.dumps({"id_token": dict.fromkeys(map(str, range(101)))}), id="names-too-many"),
        pytest.param(
            json.dumps({part: dict.fromkeys(map(str, range(51))) for part in ("id_token", "userinfo")}),
            id="names-too-many-together",
        ),
    ],
)
def test_refused(claims: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_claims(claims)


@pytest.mark.parametrize("name", ["acr", "amr", "sub"])
def test_the_claim_whose_value_is_no_text_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_claims(json.dumps({"id_token": {name: {"value": 7}}}))
    assert caught.value.description == f"claims: a value of {name} is no text"


NAMES = st.sampled_from(["id_token", "userinfo", "acr", "amr", "sub", "values", "value", "essential"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=60) | DOCUMENTS.map(json.dumps))
@example('{"id_token":{"sub":{"value":{}}}}')
@example('{"id_token":{"acr":{"values":[{}]}}}')
@example('{"id_token":{"acr":{"value":"\\ud800"}}}')
@example("[" * 10_000)
@example("9" * 5_000)
def test_any_text_is_read_or_refused(claims: str) -> None:
    try:
        found = parse_claims(claims)
    except InvalidRequest:
        return
    assert all(isinstance(value, str) and value for value in (*found.acr.values, *found.amr.values))
    assert found.sub is None or found.sub.isprintable()
