"""A token that is asked about or given back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.token_query import TokenQuery, parse_token_query

Pairs = list[tuple[str, str]]


@pytest.mark.row("S-20", "S-21")
@pytest.mark.parametrize(
    ("pairs", "query"),
    [
        pytest.param([("token", "t")], TokenQuery("t"), id="token"),
        pytest.param(
            [("token", "t"), ("token_type_hint", "access_token"), ("x", "y")],
            TokenQuery("t"),
            id="access-token",
        ),
        pytest.param(
            [("token_type_hint", "refresh_token"), ("token", "t")],
            TokenQuery("t"),
            id="refresh-token",
        ),
        pytest.param([("token", "t"), ("token_type_hint", "pat")], TokenQuery("t"), id="unknown-hint"),
        pytest.param([("token", "t"), ("token_type_hint", "")], TokenQuery("t"), id="empty-hint"),
        pytest.param([("token", "gärb age!")], TokenQuery("gärb age!"), id="garbage"),
        pytest.param([("token", "t" * 16_384)], TokenQuery("t" * 16_384), id="longest"),
    ],
)
def test_read(pairs: Pairs, query: TokenQuery) -> None:
    assert parse_token_query(pairs) == query


@pytest.mark.row("S-20", "S-21")
@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([], id="nothing"),
        pytest.param([("token", "")], id="empty"),
        pytest.param([("token_type_hint", "access_token")], id="hint-only"),
        pytest.param([("token", "t"), ("token", "t")], id="repeated"),
        pytest.param([("token", "t")] + [("token_type_hint", "access_token")] * 2, id="hint-repeated"),
        pytest.param([("token", "t"), ("client_id", "a"), ("client_id", "b")], id="client-id-repeated"),
        pytest.param([("token", "t\x00")], id="nul"),
        pytest.param([("token", "t" * 16_385)], id="oversized"),
        pytest.param([("token", "t"), ("token_type_hint", "h\n")], id="hint-control"),
    ],
)
def test_refused(pairs: Pairs) -> None:
    with pytest.raises(InvalidRequest):
        parse_token_query(pairs)


@pytest.mark.row("P-15")
def test_the_token_shows_nowhere() -> None:
    assert "canary" not in repr(parse_token_query([("token", "canary")]))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["token", "token_type_hint", "x"]) | st.text(max_size=4), st.text(max_size=9)
        ),
        max_size=4,
    )
)
@example([("token", "\ud800")])
def test_any_form_is_a_query_or_refused(pairs: Pairs) -> None:
    try:
        query = parse_token_query(pairs)
    except InvalidRequest:
        return
    assert ("token", query.token) in pairs
