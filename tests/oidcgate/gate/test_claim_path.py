r"""Where a claim is: `address.country`, `https://example\.com/groups`: `oidcgate.gate.claim_path`."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.gate.claim_path import MISSING, ClaimPath, parse_claim_path

CLAIMS = {
    "email": "a@b.example",
    "address": {"country": "ES", "geo.point": {"lat": 41}},
    "https://example.com/groups": ["staff"],
    "a.b": "literal",
    "a": {"b": "nested"},
    "back\\slash": 1,
    "nothing": None,
    "": "unnamed",
}


@pytest.mark.row("A-20")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("email", "a@b.example", id="claim"),
        pytest.param("address.country", "ES", id="member"),
        pytest.param(r"https://example\.com/groups", ["staff"], id="a dot of the name"),
        pytest.param(r"a\.b", "literal", id="literal beside nested"),
        pytest.param("a.b", "nested", id="nested beside literal"),
        pytest.param(r"address.geo\.point.lat", 41, id="both"),
        pytest.param(r"back\\slash", 1, id="a backslash of the name"),
        pytest.param("nothing", None, id="null"),
        pytest.param("email.length", MISSING, id="member of a text"),
        pytest.param(r"https://example\.com/groups.0", MISSING, id="member of a list"),
        pytest.param("address.city", MISSING, id="no such member"),
        pytest.param("https://example.com/groups", MISSING, id="dot not escaped"),
        pytest.param("nothing.more", MISSING, id="member of null"),
        pytest.param("EMAIL", MISSING, id="case matters"),
    ],
)
def test_a_path_reads_what_it_says(text: str, value: Any) -> None:
    assert parse_claim_path(text).read(CLAIMS) == value
    assert str(parse_claim_path(text)) == text


@pytest.mark.row("A-20")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty name"),
        (".", "empty name"),
        (".a", "empty name"),
        ("a.", "empty name"),
        ("a..b", "empty name"),
        ("\\", "backslash"),
        ("a\\", "backslash"),
        (r"a\b", "backslash"),
        (r"\a", "backslash"),
        (r"a.\b", "backslash"),
        (r"a\\\b", "backslash"),
        (r"a\\.", "empty name"),
    ],
)
def test_what_is_no_path_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=rf"^has an? {told}.*; write .*name$") as refused:
        parse_claim_path(text)
    assert str(refused.value).count(";") == 1


@pytest.mark.row("A-20")
@given(st.lists(st.text(min_size=1), min_size=1).map(tuple))
def test_every_path_comes_back_from_how_it_is_written(names: tuple[str, ...]) -> None:
    assert parse_claim_path(str(ClaimPath(names))) == ClaimPath(names)


@pytest.mark.row("A-20")
@given(st.text())
def test_whatever_can_be_read_is_written_as_it_was_read(text: str) -> None:
    try:
        path = parse_claim_path(text)
    except ValueError:
        return
    assert str(path) == text
    assert path.claim == path.names[0]


@pytest.mark.row("A-20")
def test_it_comes_back_from_the_configuration_format() -> None:
    text = r"https://example\.com/groups"
    assert tomllib.loads(f"claim = '{text}'")["claim"] == text
    assert tomllib.loads('claim = "https://example\\\\.com/groups"')["claim"] == text
    assert str(parse_claim_path(text)) == text
