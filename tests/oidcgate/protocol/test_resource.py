"""Which API a token is asked for."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidRequest, InvalidTarget, OAuthError
from oidcgate.protocol.parameters import collect
from oidcgate.protocol.resource import api_of, parameter_for

API = "https://api.example.com/v1"
Pairs = list[tuple[str, str]]


@pytest.mark.row("E-17")
@pytest.mark.parametrize(
    ("pairs", "api"),
    [
        pytest.param([], None, id="neither"),
        pytest.param([("resource", ""), ("audience", "")], None, id="both-empty"),
        pytest.param([("resource", API)], API, id="resource"),
        pytest.param([("audience", API)], API, id="audience"),
        pytest.param([("audience", API), ("resource", API)], API, id="both-the-same"),
        pytest.param([("resource", API)] * 3, API, id="resource-repeated"),
        pytest.param([("audience", "api")] * 2, "api", id="audience-repeated"),
        pytest.param([("resource", ""), ("resource", API)], API, id="repeated-once-empty"),
        pytest.param([("resource", "urn:example:api")], "urn:example:api", id="urn"),
        pytest.param([("resource", "api://7f/a?b=%C3%A4")], "api://7f/a?b=%C3%A4", id="query-and-escape"),
        pytest.param([("resource", "a:" + "x" * 2046)], "a:" + "x" * 2046, id="resource-longest"),
        pytest.param([("audience", "#")], "#", id="audience-of-one-character"),
        pytest.param([("audience", "!~" * 1024)], "!~" * 1024, id="audience-longest"),
    ],
)
def test_either_name_selects_the_api(pairs: Pairs, api: str | None) -> None:
    assert api_of(collect([("x", "y"), *pairs])) == api


@pytest.mark.row("E-17")
@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        pytest.param([("resource", API), ("audience", "api")], InvalidRequest, id="both-differ"),
        pytest.param([("resource", API), ("audience", API + "/")], InvalidRequest, id="differ-by-a-slash"),
        pytest.param([("resource", API), ("resource", "urn:b:c")], InvalidRequest, id="two-resources"),
        pytest.param([("audience", "a"), ("audience", "b")], InvalidRequest, id="two-audiences"),
        pytest.param([("audience", "a")] * 2 + [("audience", "b")], InvalidRequest, id="third-differs"),
        pytest.param([("resource", "api")], InvalidTarget, id="no-uri"),
        pytest.param([("resource", "api"), ("audience", "api")], InvalidTarget, id="both-the-same-no-uri"),
        pytest.param([("resource", "/api")], InvalidTarget, id="relative"),
        pytest.param([("resource", "//api.example.com")], InvalidTarget, id="without-scheme"),
        pytest.param([("resource", "https:")], InvalidTarget, id="scheme-only"),
        pytest.param([("resource", "1a:b")], InvalidTarget, id="scheme-with-leading-digit"),
        pytest.param([("resource", API + "#")], InvalidTarget, id="empty-fragment"),
        pytest.param([("resource", API + "#a")], InvalidTarget, id="fragment"),
        pytest.param([("resource", API + " ")], InvalidTarget, id="resource-blank"),
        pytest.param([("resource", API + "%zz")], InvalidTarget, id="resource-broken-escape"),
        pytest.param([("resource", API + "\n")], InvalidTarget, id="resource-line-end"),
        pytest.param([("resource", "https://ä.example")], InvalidTarget, id="resource-not-ascii"),
        pytest.param([("resource", "a:" + "x" * 2047)], InvalidTarget, id="resource-oversized"),
        pytest.param([("audience", "a b")], InvalidTarget, id="audience-blank"),
        pytest.param([("audience", "ä")], InvalidTarget, id="audience-not-ascii"),
        pytest.param([("audience", "a\x7f")], InvalidTarget, id="audience-del"),
        pytest.param([("audience", "a\n")], InvalidTarget, id="audience-line-end"),
        pytest.param([("audience", "a" * 2049)], InvalidTarget, id="audience-oversized"),
    ],
)
def test_what_names_no_single_api_is_refused(pairs: Pairs, error: type[OAuthError]) -> None:
    with pytest.raises(OAuthError) as caught:
        api_of(collect(pairs))
    assert type(caught.value) is error


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["resource", "audience"]), st.sampled_from([API, "a", ""]) | st.text(max_size=9)
        ),
        max_size=4,
    )
)
@example([("resource", "\ud800")])
@example([("audience", "a\n")])
def test_any_pairs_are_one_api_or_a_declared_error(pairs: Pairs) -> None:
    try:
        api = api_of(collect(pairs))
    except (InvalidRequest, InvalidTarget):
        return
    assert {value for _, value in pairs if value} == ({api} if api else set())


@pytest.mark.parametrize("api", [API, "urn:example:api", "api", "api:a#b"])
def test_what_carries_an_api_is_read_back(api: str) -> None:
    assert api_of(collect([(parameter_for(api), api)])) == api
