"""Bearer tokens at a protected resource."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.bearer import NoToken, bearer_token, challenge
from oidcgate.protocol.errors import InsufficientScope, InvalidRequest, InvalidToken, OAuthError

Form = list[tuple[str, str]]


@pytest.mark.row("E-08", "S-16")
@pytest.mark.parametrize(
    ("header", "form"),
    [
        pytest.param("Bearer a.b-c_~+/=", None, id="header"),
        pytest.param("bEARER  a.b-c_~+/=", None, id="scheme-in-any-case"),
        pytest.param(None, [("access_token", "a.b-c_~+/=")], id="body"),
        pytest.param("Basic eDp5", [("access_token", "a.b-c_~+/=")], id="body-beside-another-scheme"),
        pytest.param("Bearer a.b-c_~+/=", [("access_token", "")], id="empty-in-body-counts-as-absent"),
    ],
)
def test_the_token_is_found(header: str | None, form: Form | None) -> None:
    assert bearer_token(header, form) == "a.b-c_~+/="


def test_a_token_is_taken_whole() -> None:
    assert bearer_token("Bearer XaX", None) == "XaX"
    assert bearer_token("Bearer AZaz09-._~+/=", None) == "AZaz09-._~+/="
    assert bearer_token(f"Bearer {'a' * 16_384} ", None) == "a" * 16_384


@pytest.mark.row("E-08", "S-16")
@pytest.mark.parametrize(
    ("header", "form", "error"),
    [
        pytest.param(None, None, NoToken, id="nothing"),
        pytest.param("", [], NoToken, id="empty"),
        pytest.param("Basic eDp5", None, NoToken, id="other-scheme"),
        pytest.param("Bearer", None, InvalidToken, id="scheme-alone"),
        pytest.param("Bearer a b", None, InvalidToken, id="blank-inside"),
        pytest.param('Bearer a"b', None, InvalidToken, id="quote"),
        pytest.param("Bearer ä", None, InvalidToken, id="not-ascii"),
        pytest.param("Bearer a\n", None, InvalidToken, id="line-break"),
        pytest.param(f"Bearer {'a' * 16_385}", None, InvalidToken, id="oversized"),
        pytest.param(None, [("access_token", "a b")], InvalidToken, id="body-blank-inside"),
        pytest.param("Bearer a", [("access_token", "a")], InvalidRequest, id="header-and-body"),
        pytest.param(None, [("access_token", "a"), ("access_token", "a")], InvalidRequest, id="body-twice"),
    ],
)
def test_what_is_no_token_is_named(header: str | None, form: Form | None, error: type[OAuthError]) -> None:
    with pytest.raises(OAuthError) as caught:
        bearer_token(header, form)
    assert type(caught.value) is error


@pytest.mark.row("E-08")
@pytest.mark.parametrize(
    ("error", "value"),
    [
        pytest.param(None, 'Bearer realm="id"', id="nothing-presented"),
        pytest.param(NoToken("x"), 'Bearer realm="id"', id="no-token"),
        pytest.param(InvalidToken(), 'Bearer realm="id", error="invalid_token"', id="no-description"),
        pytest.param(
            InsufficientScope('needs "openid"\r\nX: 1'),
            'Bearer realm="id", error="insufficient_scope", error_description="needs ?openid???X: 1"',
            id="description-cannot-break-out",
        ),
    ],
)
def test_the_challenge(error: OAuthError | None, value: str) -> None:
    assert challenge(error, "id") == value


@pytest.mark.parametrize("realm", ['a"', "a\\", "a\n", "ä"])
def test_a_realm_that_cannot_be_quoted_is_refused(realm: str) -> None:
    with pytest.raises(ValueError, match="realm"):
        challenge(None, realm)


@given(st.none() | st.text(max_size=30) | st.text(max_size=20).map("Bearer {}".format))
def test_any_header_is_a_token_or_a_declared_error(header: str | None) -> None:
    try:
        token = bearer_token(header, None)
    except InvalidToken:
        return
    assert token in (header or "")
