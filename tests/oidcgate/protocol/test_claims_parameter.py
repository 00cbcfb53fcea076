"""The `claims` parameter: what it asks of `acr`, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.claims_parameter import AcrRequest, acr_request
from oidcgate.protocol.errors import InvalidRequest


@pytest.mark.row("E-15")
@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param(None, AcrRequest(), id="absent"),
        pytest.param("{}", AcrRequest(), id="empty"),
        pytest.param('{"userinfo":{"email":null},"id_token":null}', AcrRequest(), id="null"),
        pytest.param('{"id_token":{"acr":null}}', AcrRequest(), id="acr-null"),
        pytest.param('{"id_token":{"acr":{"essential":true}}}', AcrRequest((), True), id="essential-any"),
        pytest.param('{"id_token":{"acr":{"values":["b","a"]}}}', AcrRequest(("b", "a")), id="values"),
        pytest.param('{"id_token":{"acr":{"value":"a"}}}', AcrRequest(("a",)), id="value"),
        pytest.param(
            '{"id_token":{"acr":{"essential":true,"value":"a","values":["b","a"]},"x":7},"other":[]}',
            AcrRequest(("a", "b"), True),
            id="all-and-more",
        ),
        pytest.param('{"userinfo":{"acr":{"essential":true,"values":["a"]}}}', AcrRequest(), id="userinfo"),
    ],
)
def test_read(claims: str | None, expected: AcrRequest) -> None:
    assert acr_request(claims) == expected


@pytest.mark.row("E-15")
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param("acr", id="no-json"),
        pytest.param("[]", id="list"),
        pytest.param('{"a":1,"a":1}', id="twice"),
        pytest.param('{"id_token":[]}', id="id-token-list"),
        pytest.param('{"userinfo":"x"}', id="userinfo-text"),
        pytest.param('{"id_token":{"acr":"mfa"}}', id="acr-text"),
        pytest.param('{"id_token":{"acr":{"essential":"true"}}}', id="essential-text"),
        pytest.param('{"id_token":{"acr":{"essential":1}}}', id="essential-number"),
        pytest.param('{"id_token":{"acr":{"values":"mfa"}}}', id="values-text"),
        pytest.param('{"id_token":{"acr":{"values":[1]}}}', id="values-numbers"),
        pytest.param('{"id_token":{"acr":{"value":null}}}', id="value-null"),
        pytest.param('{"id_token":{"acr":{"values":[""]}}}', id="value-empty"),
    ],
)
def test_refused(claims: str) -> None:
    with pytest.raises(InvalidRequest):
        acr_request(claims)


NAMES = st.sampled_from(["id_token", "userinfo", "acr", "values", "value", "essential"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=60) | DOCUMENTS.map(json.dumps))
def test_any_text_is_read_or_refused(claims: str) -> None:
    try:
        found = acr_request(claims)
    except InvalidRequest:
        return
    assert all(isinstance(value, str) and value for value in found.values)
