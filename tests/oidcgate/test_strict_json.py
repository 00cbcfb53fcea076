"""JSON objects mean one thing only, or they are refused by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.strict_json import MAX_DEPTH, NotStrictJSON, parse_array, parse_object


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"[1]", "not an object", id="array"),
        pytest.param(b'"x"', "not an object", id="string"),
        pytest.param(b"null", "not an object", id="null"),
        pytest.param(b'{"a":1,"a":2}', "given twice", id="duplicate-member"),
        pytest.param(b'{"x":{"a":1,"\\u0061":2}}', "given twice", id="duplicate-by-escape-inside"),
        pytest.param(b'{"exp":NaN}', "NaN is not JSON", id="nan"),
        pytest.param(b'{"exp":-Infinity}', "-Infinity is not JSON", id="infinity"),
        pytest.param(b'{"exp":1e400}', "out of range", id="overflow"),
        pytest.param(b'{"exp":' + b"9" * 5000 + b"}", "not JSON", id="five-thousand-digits"),
        pytest.param(b'{"a":"\xff"}', "not JSON", id="not-utf8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "not JSON", id="byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), "not JSON", id="utf-16"),
        pytest.param(b'{"a":"\\ud800"}', "surrogate", id="half-a-surrogate-pair"),
        pytest.param(b'{"\\udc00":1}', "surrogate", id="half-a-surrogate-pair-as-name"),
        pytest.param('{"a":"\ud800"}', "surrogate", id="half-a-surrogate-pair-in-str"),
        pytest.param(nested(MAX_DEPTH + 1).encode(), "nested deeper", id="one-too-deep"),
        pytest.param(nested(100_000).encode(), "not JSON", id="brace-bomb"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON", id="bracket-bomb"),
        pytest.param(b'{"a":1} x', "not JSON", id="text-after"),
    ],
)
def test_what_is_ambiguous_is_refused(text: bytes | str, message: str) -> None:
    with pytest.raises(NotStrictJSON, match=message):
        parse_object(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{}", "not an array", id="object"),
        pytest.param(b'"x"', "not an array", id="string"),
        pytest.param(b'[{"a":1,"a":2}]', "given twice", id="duplicate-member"),
        pytest.param(b'["\\ud800"]', "surrogate", id="half-a-surrogate-pair"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper", id="one-too-deep"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "not JSON", id="bracket-bomb"),
    ],
)
def test_an_array_is_refused_for_the_same_reasons(text: bytes, message: str) -> None:
    with pytest.raises(NotStrictJSON, match=message):
        parse_array(text)


def test_an_array() -> None:
    assert parse_array(b'["a", {"b": [1]}]') == ["a", {"b": [1]}]
    assert parse_array(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_the_deepest_allowed_document_is_read() -> None:
    assert parse_object(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.row("P-15")
def test_the_refusal_keeps_nothing_of_the_text() -> None:
    with pytest.raises(NotStrictJSON) as caught:
        parse_object(b'{"token":"canary-4711"')
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_input_is_an_object_or_the_declared_refusal(data: bytes | str) -> None:
    try:
        document = parse_object(data)
    except NotStrictJSON:
        return
    assert isinstance(document, dict)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), values, max_size=6))
def test_what_json_writes_is_read_back(document: dict[str, object]) -> None:
    assert parse_object(json.dumps(document).encode()) == document
