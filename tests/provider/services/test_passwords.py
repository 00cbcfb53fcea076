"""Hashes of passwords: argon2id, salted, within bounds."""

import pytest
from argon2 import PasswordHasher, extract_parameters

from provider.services.passwords import LONGEST_PASSWORD_BYTES, Passwords, Weakness, weakness_of

CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_the_cost_is_that_of_rfc_9106() -> None:
    parameters = extract_parameters(Passwords().hash("x"))
    assert parameters.type.name == "ID"
    assert (parameters.time_cost, parameters.memory_cost, parameters.parallelism) == (3, 65_536, 4)


def test_equal_passwords_have_different_hashes() -> None:
    assert CHEAP.hash("same") != CHEAP.hash("same")


@pytest.mark.parametrize("password", ["x", "é" * 512, "x" * 1024, "with space", "\ud800"])
def test_what_may_be_a_password(password: str) -> None:
    assert CHEAP.hasher.verify(CHEAP.hash(password), password.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("password", ["", "x" * (LONGEST_PASSWORD_BYTES + 1), "é" * 513])
def test_what_may_not(password: str) -> None:
    with pytest.raises(ValueError, match="1 to 1024 bytes"):
        CHEAP.hash(password)


@pytest.mark.row("A-28")
@pytest.mark.parametrize(
    ("password", "weakness"),
    [
        ("7 chars", Weakness.SHORT),
        ("", Weakness.SHORT),
        ("8 chars.", None),
        ("\u00e9\u00e8\u00ea\u00eb\u00e0\u00e2\u00e4\u00fc", None),
        ("ab" * 512, Weakness.GUESSABLE),
        ("abc" * 341 + "d", None),
        ("abc" * 341 + "de", Weakness.LONG),
        ("\ud800 lone surrogates", None),
        ("password", Weakness.GUESSABLE),
        ("PassWord1", Weakness.GUESSABLE),
        ("zxcvbnm1", Weakness.GUESSABLE),
        ("00000000", Weakness.GUESSABLE),
        ("password1 and more", None),
        ("aaaabbbb", Weakness.GUESSABLE),
        ("aaaabbbc", None),
        ("aAaAbBbB", Weakness.GUESSABLE),
        ("alice@example", Weakness.GUESSABLE),
        ("ALICE@Example", Weakness.GUESSABLE),
        ("alice@example2", None),
    ],
)
def test_what_a_new_password_has_to_be(password: str, weakness: Weakness | None) -> None:
    assert weakness_of(password, fewest=8, user_name="Alice@example") is weakness


@pytest.mark.row("A-28")
def test_how_many_characters_is_told() -> None:
    assert weakness_of("8 chars.", fewest=9, user_name="a") is Weakness.SHORT
