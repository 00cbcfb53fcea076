"""Hashes of passwords: argon2id, salted, within bounds."""

import pytest
from argon2 import PasswordHasher, extract_parameters

from provider.services.passwords import LONGEST_PASSWORD_BYTES, Passwords

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
