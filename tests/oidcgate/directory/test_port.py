"""When two userNames are one, and what a userName may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.directory.anyone import AnyoneDirectory
from oidcgate.directory.port import KnownUser, fold, same_name, user_name_problem

TEXT = st.text(max_size=20)


@given(TEXT)
def test_folding_twice_is_folding_once(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_plain_names_fold_to_small_letters_beside_any_other(name: str) -> None:
    # The full-width forms of the same characters take the long way and must meet them.
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)
    assert fold(name) == name.lower()
    assert fold(wide) == fold(name)


@given(TEXT)
def test_a_name_is_the_same_as_itself(name: str) -> None:
    assert same_name(name, name)


@given(TEXT, TEXT)
def test_names_that_find_one_user_fold_alike(first: str, second: str) -> None:
    """What `same_name` takes for one must never be two users of a directory."""
    for other in (second, first.upper(), first.lower(), first.swapcase()):
        if same_name(first, other):
            assert fold(first) == fold(other)
            assert same_name(other, first)


@pytest.mark.row("G-15")
@pytest.mark.parametrize(
    ("look_alike", "user_name"),
    [
        pytest.param("\u212aevin", "Kevin", id="Kelvin sign"),
        pytest.param("\u212aévin", "Kévin", id="Kelvin sign beside an accent"),
        pytest.param("\u212bsa", "Åsa", id="Angstrom sign"),
        pytest.param("\uf900", "\u8c48", id="compatibility ideograph"),
        pytest.param("ｋévin", "kévin", id="full width"),
        pytest.param("straße", "strasse", id="sharp s"),
    ],
)
def test_a_look_alike_that_an_idp_tells_apart_is_nobody_here(look_alike: str, user_name: str) -> None:
    assert fold(look_alike) == fold(user_name)
    assert not same_name(look_alike, user_name)


@pytest.mark.parametrize(
    ("presented", "user_name"), [("ZOË", "Zoe\u0308"), ("zoe\u0308", "Zoë"), ("ÅSA", "åsa")]
)
def test_case_and_composition_make_no_other_name(presented: str, user_name: str) -> None:
    assert same_name(presented, user_name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("a" * 151, "longer than 150", id="151"),
        pytest.param(" a", "spaces around", id="space before"),
        pytest.param("a\u00a0", "spaces around", id="no-break space behind"),
        pytest.param("a\tb", "control", id="tab"),
        pytest.param("a\0b", "control", id="nul"),
        pytest.param("a\u202eb", "invisible", id="right-to-left override"),
        pytest.param("a\u200bb", "invisible", id="zero width space"),
        pytest.param("a\u2028b", "control", id="line separator"),
        pytest.param("a\ud800b", "control", id="lone surrogate"),
        pytest.param(7, "not a string", id="number"),
        pytest.param(None, "not a string", id="none"),
    ],
)
def test_what_is_no_user_name(name: object, message: str) -> None:
    found = user_name_problem(name)
    assert found is not None
    assert message in found[0]


@pytest.mark.parametrize("name", ["a", "a" * 150, "Zoë van Dÿk", "a.b+c@d", "0", "王"])
def test_what_is_a_user_name(name: str) -> None:
    assert user_name_problem(name) is None


@pytest.mark.row("G-15")
@pytest.mark.parametrize(("name", "user"), [("Zoë", KnownUser("Zoë")), ("", None), ("a\nb", None)])
def test_the_directory_of_anyone_takes_every_proper_name_as_it_is(name: str, user: KnownUser | None) -> None:
    directory = AnyoneDirectory()
    assert directory.find(name, now=0) == user
    assert (directory.generation(), directory.problems()) == (0, [])
