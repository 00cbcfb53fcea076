"""The device flow: what a device asks for and is told, and the code that a person types."""

import json
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.device import (
    DeviceAuthorization,
    DeviceAuthorizationRequest,
    normalise_user_code,
    parse_device_authorization_request,
    shown_user_code,
    user_code_from,
)
from oidcgate.protocol.errors import InvalidRequest, InvalidScope, InvalidTarget, OAuthError

Pairs = list[tuple[str, str]]
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([("client_id", "tv")], DeviceAuthorizationRequest(), id="nothing"),
        pytest.param(
            [("scope", "openid  profile openid"), ("resource", "urn:example:api"), ("x", "y")],
            DeviceAuthorizationRequest(("openid", "profile"), "urn:example:api"),
            id="scope-and-api",
        ),
        pytest.param([("audience", "api")], DeviceAuthorizationRequest(api="api"), id="audience"),
    ],
)
def test_what_a_device_asks_for(pairs: Pairs, expected: DeviceAuthorizationRequest) -> None:
    assert parse_device_authorization_request(pairs) == expected


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        pytest.param([("scope", "a"), ("scope", "a")], InvalidRequest, id="scope-repeated"),
        pytest.param([("scope", "a\x00")], InvalidRequest, id="scope-nul"),
        pytest.param([("client_id", "a"), ("client_id", "b")], InvalidRequest, id="client-id-repeated"),
        pytest.param([("scope", 'a"b')], InvalidScope, id="scope-malformed"),
        pytest.param([("resource", "api")], InvalidTarget, id="resource-no-uri"),
        pytest.param([("resource", "a:b"), ("audience", "b")], InvalidRequest, id="two-apis"),
    ],
)
def test_what_no_device_asks_for(pairs: Pairs, error: type[OAuthError]) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_device_authorization_request(pairs)
    assert type(caught.value) is error


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["scope", "resource", "client_id"]) | st.text(max_size=4), st.text(max_size=9)
        ),
        max_size=4,
    )
)
@example([("scope", "\ud800")])
def test_any_form_is_a_request_or_a_declared_error(pairs: Pairs) -> None:
    try:
        request = parse_device_authorization_request(pairs)
    except OAuthError:
        return
    assert all(value.isascii() for value in request.scope)


def test_what_a_device_is_told() -> None:
    told = DeviceAuthorization("canary-1", "WDJBMJHT", "https://id.example.com/device", 600, 5)
    assert json.loads(json.dumps(told.document())) == {
        "device_code": "canary-1",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://id.example.com/device",
        "verification_uri_complete": "https://id.example.com/device?user_code=WDJB-MJHT",
        "expires_in": 600,
        "interval": 5,
    }
    assert "canary" not in repr(told)
    assert "WDJB" not in repr(told)


def test_no_letter_of_a_user_code_is_likelier_than_another() -> None:
    used = Counter(user_code_from(bytes([byte] * 8))[0] for byte in range(256) if _is_used(byte))
    assert used == dict.fromkeys(LETTERS, 12)


def _is_used(byte: int) -> bool:
    try:
        user_code_from(bytes([byte] * 8))
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("random_bytes", "code"),
    [
        pytest.param(bytes(range(8)), "BCDFGHJK", id="in-order"),
        pytest.param(bytes(range(13, 33)), "RSTVWXZB", id="wraps"),
        pytest.param(bytes([239, 240, 255, *range(8)]), "ZBCDFGHJ", id="biased-bytes-skipped"),
    ],
)
def test_a_user_code_is_made_of_random_bytes(random_bytes: bytes, code: str) -> None:
    assert user_code_from(random_bytes) == code


@pytest.mark.parametrize("random_bytes", [b"", bytes(7), b"\xff" * 32, bytes(7) + b"\xf0"])
def test_too_few_random_bytes_make_no_code(random_bytes: bytes) -> None:
    with pytest.raises(ValueError, match="too few"):
        user_code_from(random_bytes)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("WDJB-MJHT", "WDJBMJHT", id="as-shown"),
        pytest.param("wdjbmjht", "WDJBMJHT", id="small-letters"),
        pytest.param("  w d j b - m j h t \n", "WDJBMJHT", id="spaces"),
        pytest.param("WDJB\u2013MJHT", "WDJBMJHT", id="long-dash"),
        pytest.param("WDJB\u2212MJHT\xa0", "WDJBMJHT", id="minus-and-hard-space"),
        pytest.param("WDJBMJHT" + " " * 56, "WDJBMJHT", id="longest"),
        pytest.param("WDJBMJHT" + " " * 57, None, id="too-long"),
        pytest.param("", None, id="empty"),
        pytest.param("WDJB-MJH", None, id="seven-letters"),
        pytest.param("WDJB-MJHTT", None, id="nine-letters"),
        pytest.param("WDJB-MJHA", None, id="vowel"),
        pytest.param("WDJB-MJH1", None, id="digit"),
        pytest.param("WDJB/MJHT", None, id="slash"),
        pytest.param("WDJB-MJH\u017f", None, id="long-s"),
        pytest.param("WDJB-MJH\uff34", None, id="wide-letter"),
    ],
)
def test_what_a_person_typed_is_a_code_or_none(text: str, code: str | None) -> None:
    assert normalise_user_code(text) == code


@given(st.text(max_size=12) | st.text(LETTERS + LETTERS.lower() + "- ", max_size=12))
@example("ß" * 4)
@example("\ud800")
def test_any_text_is_a_code_or_none(text: str) -> None:
    code = normalise_user_code(text)
    assert code is None or (len(code) == 8 and set(code) <= set(LETTERS))


@given(st.binary(min_size=32, max_size=32))
@example(b"\xef" * 32)
def test_what_is_made_is_shown_and_typed(random_bytes: bytes) -> None:
    try:
        code = user_code_from(random_bytes)
    except ValueError:
        assert sum(byte < 240 for byte in random_bytes) < 8
        return
    assert normalise_user_code(shown_user_code(code)) == code
