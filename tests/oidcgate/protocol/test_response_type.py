"""The response types: the seven, in any order of words, and nothing else."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.errors import UnsupportedResponseType
from oidcgate.protocol.response_type import RESPONSE_TYPES, parse_response_type


@pytest.mark.row("S-04", "S-05", "S-06", "S-08", "S-10")
@pytest.mark.parametrize(
    ("value", "flow", "code", "access_token", "id_token"),
    [
        pytest.param("code", "authorization_code", True, False, False, id="code"),
        pytest.param("id_token", "implicit", False, False, True, id="id-token"),
        pytest.param("id_token token", "implicit", False, True, True, id="id-token-token"),
        pytest.param("token", "implicit", False, True, False, id="token"),
        pytest.param("code id_token", "hybrid", True, False, True, id="code-id-token"),
        pytest.param("code token", "hybrid", True, True, False, id="code-token"),
        pytest.param("code id_token token", "hybrid", True, True, True, id="code-id-token-token"),
    ],
)
def test_what_each_gives(value: str, flow: str, code: bool, access_token: bool, id_token: bool) -> None:
    for words in itertools.permutations(value.split()):
        found = parse_response_type(" ".join(words))
        assert (found.value, found.flow) == (value, flow)
        assert (found.gives_code, found.gives_access_token, found.gives_id_token) == (
            code,
            access_token,
            id_token,
        )
        assert found.front_channel_tokens is (access_token or id_token)


def test_these_are_all_in_the_order_of_discovery() -> None:
    assert RESPONSE_TYPES == (
        "code",
        "id_token",
        "id_token token",
        "token",
        "code id_token",
        "code token",
        "code id_token token",
    )


def test_runs_of_spaces_count_as_one() -> None:
    assert parse_response_type(" token  id_token ").value == "id_token token"


REFUSED = [
    pytest.param("", id="empty"),
    pytest.param(" ", id="blank"),
    pytest.param("none", id="none"),
    pytest.param("code none", id="none-and-code"),
    pytest.param("Code", id="other-case"),
    pytest.param("codes", id="unknown"),
    pytest.param("code\tid_token", id="tab"),
    pytest.param("code,id_token", id="comma"),
    pytest.param("code\xa0token", id="other-blank"),
    pytest.param("code code", id="word-twice"),
    pytest.param("code id_token token none", id="all-words"),
]


@pytest.mark.row("S-06", "P-02")
@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedResponseType) as caught:
        parse_response_type(text)
    assert caught.value.detail == f"response_type {text!r}"
    # What is not supported may be hostile: it is not said back.
    assert caught.value.description == "response_type is not supported"


@given(
    st.text(max_size=20)
    | st.lists(st.sampled_from(["code", "token", "id_token", "none", ""]), max_size=5).map(" ".join)
)
@example("code\x1fid_token")
@example("\ud800")
def test_any_text_is_one_of_the_seven_or_unsupported(text: str) -> None:
    try:
        found = parse_response_type(text)
    except UnsupportedResponseType:
        return
    assert found.value in RESPONSE_TYPES
    assert sorted(text.split()) == found.value.split()
