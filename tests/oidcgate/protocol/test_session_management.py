"""`session_state`: what it is made of, and that all of it counts."""

import hashlib

import pytest

from oidcgate.protocol.session_management import build_session_state, session_state_of

GIVEN = {
    "client_id": "app",
    "origin": "https://app.example",
    "browser_state": "out-x",
    "salt": "s4lt",
}


@pytest.mark.row("S-18")
def test_session_state_is_the_salted_hash_of_the_specification() -> None:
    expected = hashlib.sha256(b"app https://app.example out-x s4lt").hexdigest()
    assert build_session_state(**GIVEN) == f"{expected}.s4lt"
    assert " " not in build_session_state(**GIVEN)


@pytest.mark.row("S-18")
@pytest.mark.parametrize("name", GIVEN)
def test_each_part_counts(name: str) -> None:
    other = {**GIVEN, name: GIVEN[name] + "1"}
    assert build_session_state(**other).partition(".")[0] != build_session_state(**GIVEN).partition(".")[0]


@pytest.mark.parametrize(
    ("pairs", "state"),
    [
        ([("session_state", "a.b"), ("code", "c")], "a.b"),
        ([("session_state", "a" * 500)], "a" * 500),
        ([], None),
        ([("session_state", "")], None),
        ([("session_state", "a" * 501)], None),
        ([("session_state", "a b")], None),
        ([("session_state", "a\n")], None),
        ([("session_state", "\u00e9")], None),
        ([("session_state", "a"), ("session_state", "a")], None),
    ],
)
def test_what_can_be_asked_about(pairs: list[tuple[str, str]], state: str | None) -> None:
    assert session_state_of(pairs) == state
