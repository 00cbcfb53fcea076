"""Request parameters as they arrived."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.parameters import Parameters, collect


def test_the_first_value_is_kept_and_a_repetition_noted() -> None:
    assert collect([("a", "1"), ("b", ""), ("a", "2"), ("c", "3")]) == Parameters(
        {"a": "1", "c": "3"}, frozenset({"a"})
    )
    # Once empty and once not: still given twice.
    assert collect([("a", ""), ("a", "2")]) == Parameters({"a": "2"}, frozenset({"a"}))


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        pytest.param("state", 4096, id="value"),
        pytest.param("id_token_hint", 16_384, id="whole-token"),
        pytest.param("refresh_token", 16_384, id="refresh-token"),
        pytest.param("access_token", 16_384, id="access-token"),
        pytest.param("client_assertion", 16_384, id="client-assertion"),
        pytest.param("assertion", 16_384, id="assertion"),
        pytest.param("token", 16_384, id="token"),
    ],
)
def test_the_longest_value_passes_and_one_more_character_does_not(name: str, longest: int) -> None:
    whole, too_long = collect([(name, "x" * longest)]), collect([(name, "x" * (longest + 1))])
    whole.check()
    assert whole.safe(name) == "x" * longest
    assert too_long.safe(name) is None
    with pytest.raises(InvalidRequest, match=f"{name} is too long"):
        too_long.check()


@pytest.mark.parametrize("code", [0, 0x1F, 0x7F, 0xD800, 0xDBFF, 0xDC00, 0xDFFF], ids=hex)
def test_a_control_character_or_half_a_character_is_refused(code: int) -> None:
    assert collect([("state", f"a{chr(code)}")]).safe("state") is None


@pytest.mark.parametrize("code", [0x20, 0x80, 0xD7FF, 0xE000, 0x1F600], ids=hex)
def test_any_other_character_is_taken(code: int) -> None:
    assert collect([("state", f"a{chr(code)}")]).safe("state") == f"a{chr(code)}"


@pytest.mark.row("S-11")
def test_a_password_may_hold_any_whole_character() -> None:
    password = "".join(map(chr, (*range(0x100), 0xD7FF, 0xE000, 0x1F600)))
    collect([("password", password)]).check()
    for code in (0xD800, 0xDFFF):
        with pytest.raises(InvalidRequest, match="password has control characters"):
            collect([("password", f"a{chr(code)}")]).check()
    with pytest.raises(InvalidRequest, match="username has control characters"):
        collect([("username", "a\n")]).check()


def test_only_the_named_parameters_are_checked() -> None:
    parameters = collect([("a", "1"), ("a", "2"), ("b", "3")])
    parameters.check("b")
    with pytest.raises(InvalidRequest, match="a is given more than once"):
        parameters.check("b", "a")
    with pytest.raises(InvalidRequest, match="a is given more than once"):
        parameters.check()


@pytest.mark.row("E-17")
def test_every_value_of_what_may_be_repeated_is_kept() -> None:
    parameters = collect([("resource", "a"), ("resource", ""), ("x", "1"), ("resource", "b"), ("x", "2")])
    assert parameters.all("resource") == ("a", "b")
    assert collect([("resource", v) for v in "cab"]).all("resource") == ("c", "a", "b")
    assert (parameters.all("x"), parameters.all("audience")) == (("1",), ())
    assert parameters.get("resource") == "a"


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_what_extensions_let_be_repeated_is_still_checked(name: str) -> None:
    collect([(name, "1"), (name, "2")]).check()
    with pytest.raises(InvalidRequest, match=f"{name} has control characters"):
        collect([(name, "1\x00"), (name, "2")]).check()
    with pytest.raises(InvalidRequest, match=f"{name} has control characters"):
        collect([(name, "1"), (name, "2\x00")]).check()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("a" * 40, "a" * 40, id="longest-shown"),
        pytest.param("a" * 41, "a parameter", id="too-long-to-show"),
        pytest.param("a b", "a parameter", id="no-name"),
    ],
)
def test_a_name_is_shown_only_if_it_is_one(name: str, shown: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        collect([(name, "1"), (name, "2")]).check()
    assert caught.value.description == f"{shown} is given more than once"


def test_what_is_required_is_named_when_it_is_absent() -> None:
    assert collect([("code", "x")]).required("code") == "x"
    with pytest.raises(InvalidRequest, match="code is missing"):
        collect([("code", "")]).required("code")


PAIRS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "resource", "password"]) | st.text(max_size=5), st.text(max_size=5)),
    max_size=8,
)


@given(PAIRS)
@example([("a", "\ud800")])
@example([("password", "\ud800")])
@example([("a", ""), ("a", "")])
def test_what_passes_is_given_once_and_well_formed(pairs: list[tuple[str, str]]) -> None:
    """Whatever arrives is collected; each name is safe to use, absent, or refused."""
    parameters = collect(pairs)
    names = [name for name, _ in pairs]
    for name in names:
        refused = None
        try:
            parameters.check(name)
        except InvalidRequest as error:
            refused = error
        if refused is not None:
            assert parameters.safe(name) is None or names.count(name) > 1
            assert refused.description.isascii()
            continue
        if name not in ("resource", "audience"):
            assert names.count(name) == 1
            assert parameters.safe(name) == parameters.get(name) or name == "password"
        for one in parameters.all(name):
            assert one.encode()
            assert name == "password" or not any(c < " " or c == "\x7f" for c in one)
