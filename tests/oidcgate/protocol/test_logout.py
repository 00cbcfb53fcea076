"""RP-initiated logout, both directions."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.logout import (
    EndSessionRequest,
    build_end_session_url,
    build_frontchannel_logout_url,
    parse_end_session_request,
)

text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@pytest.mark.row("F-06", "S-19")
@given(st.none() | text, text, text, st.none() | text)
def test_what_is_built_is_read_back(hint: str | None, client_id: str, target: str, state: str | None) -> None:
    url = build_end_session_url(
        "https://id.example.com/end?tenant=1",
        id_token_hint=hint,
        client_id=client_id,
        post_logout_redirect_uri=target,
        state=state,
    )
    query = urlsplit(url).query
    assert query.startswith("tenant=1&")
    request = parse_end_session_request(parse_qsl(query))
    assert request == EndSessionRequest(hint, client_id, target, state)


@pytest.mark.row("F-06", "S-19")
def test_every_part_of_a_logout_has_its_parameter() -> None:
    url = build_end_session_url(
        "https://id.example.com/end",
        id_token_hint="h.h.h",
        client_id="app",
        post_logout_redirect_uri="https://app.example.com/bye",
        state="s",
    )
    sent = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert sent == [
        ("id_token_hint", "h.h.h"),
        ("client_id", "app"),
        ("post_logout_redirect_uri", "https://app.example.com/bye"),
        ("state", "s"),
    ]
    assert parse_end_session_request(sent) == EndSessionRequest(
        "h.h.h", "app", "https://app.example.com/bye", "s"
    )


def test_state_goes_only_with_a_target() -> None:
    url = build_end_session_url(
        "https://id.example.com/end",
        id_token_hint=None,
        client_id="app",
        post_logout_redirect_uri=None,
        state="s",
    )
    assert url == "https://id.example.com/end?client_id=app"


def test_an_empty_request_is_one() -> None:
    assert parse_end_session_request([]) == EndSessionRequest()
    request = parse_end_session_request([("logout_hint", "alice"), ("ui_locales", "de en")])
    assert (request.logout_hint, request.ui_locales) == ("alice", ("de", "en"))


@pytest.mark.row("S-19", "P-15")
@pytest.mark.parametrize("name", ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"])
def test_a_repeated_oversized_or_broken_parameter_is_refused(name: str) -> None:
    for pairs in ([(name, "a"), (name, "a")], [(name, "a" * 16_385)], [(name, "a\x00")]):
        with pytest.raises(InvalidRequest, match=name):
            parse_end_session_request(pairs)
    assert "canary" not in repr(parse_end_session_request([("id_token_hint", "canary")]))


@pytest.mark.parametrize(
    ("uri", "sid", "url"),
    [
        ("https://a.example/out", None, "https://a.example/out"),
        ("https://a.example/out", "s 1", "https://a.example/out?iss=https%3A%2F%2Fid.example&sid=s+1"),
        ("https://a.example/out?t=1", "s", "https://a.example/out?t=1&iss=https%3A%2F%2Fid.example&sid=s"),
    ],
)
def test_a_frame_says_which_session_of_whom_or_nothing(uri: str, sid: str | None, url: str) -> None:
    assert build_frontchannel_logout_url(uri, issuer="https://id.example", sid=sid) == url
