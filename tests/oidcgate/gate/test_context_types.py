"""Values of a declared type, and those that are not: `oidcgate.gate.context_types`."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.gate.context_types import MISMATCH, AttributeType, converted, kind_of

VALUES: dict[str, Any] = {
    "string": "a",
    "number": 5,
    "bool": True,
    "string_array": ["a", "b"],
    "number_array": [1, 2.5],
    "bool_array": [True, False],
    "object": {"a": 1},
}


@pytest.mark.row("A-19")
@pytest.mark.parametrize(("declared", "given_as"), list(itertools.product(VALUES, VALUES)))
def test_a_value_fits_its_own_type_and_no_other(declared: str, given_as: str) -> None:
    value = VALUES[given_as]
    expected = value if declared == given_as else MISMATCH
    assert converted(AttributeType(declared), value) == expected


@pytest.mark.row("A-19")
@pytest.mark.parametrize("kind", [kind for kind in AttributeType if kind is not AttributeType.ANY])
def test_null_is_of_no_type(kind: AttributeType) -> None:
    assert converted(kind, None) is MISMATCH
    assert converted(kind, None, weak=True) is MISMATCH


@pytest.mark.parametrize("value", [*VALUES.values(), None, [], {}, [["a"], {"b": None}]], ids=repr)
def test_anything_fits_any(value: Any) -> None:
    assert converted(AttributeType.ANY, value) == value


@pytest.mark.parametrize(
    "kind", [AttributeType.STRING_ARRAY, AttributeType.NUMBER_ARRAY, AttributeType.BOOL_ARRAY]
)
def test_an_empty_list_is_a_list_of_anything(kind: AttributeType) -> None:
    assert converted(kind, []) == []


WEAK = [
    (AttributeType.BOOL, "1", True),
    (AttributeType.BOOL, "0", False),
    (AttributeType.BOOL, "true", True),
    (AttributeType.BOOL, "false", False),
    (AttributeType.STRING, True, "1"),
    (AttributeType.STRING, False, "0"),
    (AttributeType.STRING, 5, "5"),
    (AttributeType.STRING, 2.5, "2.5"),
    (AttributeType.NUMBER, "5", 5),
    (AttributeType.NUMBER, "-5", -5),
    (AttributeType.NUMBER, "2.50", 2.5),
    (AttributeType.STRING_ARRAY, "a", ["a"]),
    (AttributeType.STRING_ARRAY, 5, ["5"]),
    (AttributeType.STRING_ARRAY, [5, True], ["5", "1"]),
    (AttributeType.NUMBER_ARRAY, "7", [7]),
    (AttributeType.BOOL_ARRAY, "1", [True]),
]


@pytest.mark.row("A-22")
@pytest.mark.parametrize(("kind", "value", "expected"), WEAK, ids=repr)
def test_weak_decoding(kind: AttributeType, value: Any, expected: Any) -> None:
    assert converted(kind, value, weak=True) == expected
    assert type(converted(kind, value, weak=True)) is type(expected)
    assert converted(kind, value) is MISMATCH, "only where it is allowed"


@pytest.mark.row("A-22")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (AttributeType.BOOL, "yes"),
        (AttributeType.BOOL, "TRUE"),
        (AttributeType.BOOL, ""),
        (AttributeType.BOOL, 2),
        (AttributeType.NUMBER, ""),
        (AttributeType.NUMBER, " 5"),
        (AttributeType.NUMBER, "05"),
        (AttributeType.NUMBER, "1e9"),
        pytest.param(AttributeType.NUMBER, "٣", id="arabic-digit"),
        (AttributeType.NUMBER, "nan"),
        (AttributeType.NUMBER, "9" * 40),
        (AttributeType.NUMBER, True),
        (AttributeType.STRING, ["a"]),
        (AttributeType.STRING, {"a": 1}),
        (AttributeType.STRING_ARRAY, {"a": 1}),
        (AttributeType.STRING_ARRAY, ["a", None]),
        (AttributeType.OBJECT, "{}"),
    ],
    ids=repr,
)
def test_what_weak_decoding_does_not_decode(kind: AttributeType, value: Any) -> None:
    assert converted(kind, value, weak=True) is MISMATCH


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def deep_object(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(AttributeType.NUMBER, 2**64 - 1, id="the largest integer"),
        pytest.param(AttributeType.NUMBER, -(2**63), id="the smallest integer"),
        pytest.param(AttributeType.STRING, "Žaneta \ud7ff\ue000 😀", id="whole characters"),
        pytest.param(AttributeType.OBJECT, {"Žaneta": 1}, id="whole characters in a name"),
        pytest.param(AttributeType.ANY, deep(16), id="as deep as may be"),
        pytest.param(AttributeType.OBJECT, deep_object(16), id="as deep an object"),
    ],
)
def test_what_a_session_can_just_keep_fits(kind: AttributeType, value: Any) -> None:
    assert converted(kind, value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(AttributeType.NUMBER, 2**64, id="too large an integer"),
        pytest.param(AttributeType.NUMBER, -(2**63) - 1, id="too small an integer"),
        pytest.param(AttributeType.NUMBER, float("inf"), id="infinity"),
        pytest.param(AttributeType.NUMBER, float("nan"), id="not a number"),
        pytest.param(AttributeType.STRING, "a\ud800", id="half a character"),
        pytest.param(AttributeType.STRING_ARRAY, ["a", "\udfff"], id="half a character in a list"),
        pytest.param(AttributeType.OBJECT, {"a": {"b": 2**70}}, id="too large an integer inside"),
        pytest.param(AttributeType.OBJECT, {"\ud800": 1}, id="half a character in a name"),
        pytest.param(AttributeType.OBJECT, {1: 1}, id="a number as name"),
        pytest.param(AttributeType.ANY, deep(17), id="too deep"),
        pytest.param(AttributeType.OBJECT, deep_object(17), id="too deep an object"),
        pytest.param(AttributeType.ANY, object(), id="no JSON"),
        pytest.param(AttributeType.ANY, {"a": {1, 2}}, id="no JSON inside"),
    ],
)
def test_what_no_session_could_keep_fits_nothing(kind: AttributeType, value: Any) -> None:
    assert converted(kind, value) is MISMATCH


def test_a_value_of_any_depth_is_judged_and_told() -> None:
    bottomless = deep(100_000)
    for kind in AttributeType:
        assert converted(kind, bottomless) is MISMATCH
        assert converted(kind, {"a": bottomless}, weak=True) is MISMATCH
    assert kind_of(bottomless) == "array of array"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.sampled_from(AttributeType), JSON, st.booleans())
def test_whatever_fits_can_be_kept(kind: AttributeType, value: Any, weak: bool) -> None:
    result = converted(kind, value, weak=weak)
    if result is not MISMATCH:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(result)) == result
        assert converted(kind, result) == result, "what is of its type stays as it is"
    assert kind_of(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null"),
        (True, "bool"),
        ("secret", "string"),
        (5, "number"),
        (5.5, "number"),
        ([], "empty array"),
        (["secret", 5, "x"], "array of number and string"),
        ([["secret"], []], "array of array"),
        ({"secret": 1}, "object"),
        ({"secret"}, "set"),
    ],
    ids=repr,
)
def test_a_report_says_what_a_value_is_and_not_the_value(value: Any, told: str) -> None:
    assert kind_of(value) == told
    assert "secret" not in kind_of(value)
