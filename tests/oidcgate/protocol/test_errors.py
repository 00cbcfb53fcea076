"""What clients are told, and what refusals are called."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol import errors
from oidcgate.protocol.errors import InvalidRequest, OAuthError, Reason, Refused
from oidcgate.protocol.userinfo import check_userinfo

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, OAuthError) and value is not OAuthError
]


def test_each_code_belongs_to_one_class() -> None:
    # Forbidden is UnauthorizedClient with another status.
    codes = [each.code for each in CLASSES if each is not errors.Forbidden]
    assert len(set(codes)) == len(codes) == 28


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_client", 401),
        ("invalid_token", 401),
        ("insufficient_scope", 403),
        ("invalid_grant", 400),
        ("server_error", 500),
        ("temporarily_unavailable", 503),
        ("authorization_pending", 400),
        ("slow_down", 400),
        ("expired_token", 400),
        ("invalid_client_metadata", 400),
        ("invalid_redirect_uri", 400),
    ],
)
def test_statuses(code: str, status: int) -> None:
    assert {each.status for each in CLASSES if each.code == code} == {status}


@pytest.mark.row("S-50")
def test_a_client_is_told_the_same_where_an_endpoint_is_closed_to_it() -> None:
    assert (errors.UnauthorizedClient.code, errors.UnauthorizedClient.status) == ("unauthorized_client", 400)
    assert (errors.Forbidden.code, errors.Forbidden.status) == ("unauthorized_client", 403)


@given(st.text(max_size=50))
def test_a_description_holds_only_what_rfc_6749_allows(text: str) -> None:
    described = InvalidRequest(text, detail=text).description
    assert all(
        character in "\x20\x21" or "\x23" <= character <= "\x5b" or "\x5d" <= character <= "\x7e"
        for character in described
    )
    assert len(described) == len(text)


def test_each_character_of_a_description() -> None:
    # RFC 6749 5.2: %x20-21 / %x23-5B / %x5D-7E.
    for character in map(chr, range(0x100)):
        legal = "\x20" <= character <= "\x7e" and character not in '"\\'
        assert InvalidRequest(character).description == (character if legal else "?"), ascii(character)


def test_the_detail_is_not_for_the_client() -> None:
    error = InvalidRequest("x is missing", detail="canary")
    assert error.document() == {"error": "invalid_request", "error_description": "x is missing"}
    assert InvalidRequest().document() == {"error": "invalid_request"}
    assert "canary" not in str(error)
    assert (error.detail, InvalidRequest("x is missing").detail) == ("canary", "")


def test_reasons_are_what_logs_and_tests_call_them() -> None:
    assert all(reason.value == reason.name.lower() for reason in Reason)
    assert str(Refused(Reason.STATE_MISSING)) == "state_missing"


def test_userinfo_about_the_same_person_is_taken() -> None:
    assert check_userinfo({"sub": "s", "email": "a@example.com"}, "s")["email"] == "a@example.com"


@pytest.mark.row("G-24")
@pytest.mark.parametrize(
    ("document", "reason"),
    [
        pytest.param({}, Reason.USERINFO_MALFORMED, id="sub-missing"),
        pytest.param({"sub": 1}, Reason.USERINFO_MALFORMED, id="sub-number"),
        pytest.param({"sub": "other"}, Reason.USERINFO_SUB, id="somebody-else"),
        pytest.param({"sub": "S"}, Reason.USERINFO_SUB, id="other-case"),
    ],
)
def test_userinfo_about_somebody_else_is_refused(document: dict[str, object], reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        check_userinfo(document, "s")
    assert caught.value.reason is reason
    assert ("sub" in caught.value.detail) is (reason is Reason.USERINFO_MALFORMED)
