"""A posted form as its fields: whatever cannot be posted again as it came is no form here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from oidcgate.web.form_body import MULTIPART, URLENCODED, is_form, posted_form

BOUNDARY = "----WebKitFormBoundaryZb1"
TYPE = f"{MULTIPART}; boundary={BOUNDARY}"


def multipart(*parts: str) -> bytes:
    """The parts, each from its first header to the end of its value."""
    text = "".join(f"--{BOUNDARY}\r\n{part}\r\n" for part in parts)
    return f"{text}--{BOUNDARY}--\r\n".encode()


def field(name: str, value: str, more: str = "") -> str:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}'


@pytest.mark.row("G-10")
@pytest.mark.parametrize(
    ("content_type", "body", "fields"),
    [
        pytest.param(URLENCODED, b"a=1&b=&a=2", [("a", "1"), ("b", ""), ("a", "2")], id="in-order"),
        pytest.param(URLENCODED, b"a=%C5%BE+%26&%5B%5D=x", [("a", "ž &"), ("[]", "x")], id="escapes"),
        pytest.param(URLENCODED + "; charset=utf-8", b"a=1%0D%0A2", [("a", "1\r\n2")], id="line-ends"),
        pytest.param(URLENCODED.upper(), b"a", [("a", "")], id="no-equals"),
        pytest.param(
            TYPE,
            multipart(field("a[]", "1"), field("b", "two\r\nlines"), field("a[]", "ž")),
            [("a[]", "1"), ("b", "two\r\nlines"), ("a[]", "ž")],
            id="multipart-in-order",
        ),
        pytest.param(TYPE, multipart(field("a", "")), [("a", "")], id="multipart-empty-value"),
        pytest.param(
            TYPE,
            multipart(
                field("a", "1"), field("f", "", '; filename=""\r\nContent-Type: application/octet-stream')
            ),
            [("a", "1")],
            id="a-file-that-nobody-chose",
        ),
    ],
)
def test_fields(content_type: str, body: bytes, fields: list[tuple[str, str]]) -> None:
    assert is_form(content_type)
    form = posted_form(content_type, body)
    assert form is not None
    assert list(form.fields) == fields
    assert form.content_type in (URLENCODED, MULTIPART)


@pytest.mark.row("G-10")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("", b"a=1", id="no-type"),
        pytest.param("text/plain", b"a=1", id="text"),
        pytest.param("application/json", b"{}", id="json"),
        pytest.param(URLENCODED, "a=ž".encode(), id="not-ascii"),
        pytest.param(URLENCODED, b"a=%FF", id="not-utf8"),
        pytest.param(URLENCODED, b"a=%00", id="nul"),
        pytest.param(URLENCODED, b"&".join([b"a=1"] * 1001), id="too-many"),
        pytest.param(MULTIPART, multipart(field("a", "1")), id="no-boundary"),
        pytest.param(TYPE, b"", id="nothing"),
        pytest.param(TYPE, multipart(field("a", "1"))[:-8], id="cut-off"),
        pytest.param(TYPE, multipart(field("f", "x", '; filename="f.txt"')), id="file"),
        pytest.param(TYPE, multipart(field("f", "x", '; filename=""')), id="file-without-a-name"),
        pytest.param(
            TYPE, multipart(field("a", "1", "\r\nContent-Type: application/json")), id="part-with-a-type"
        ),
        pytest.param(
            TYPE,
            multipart(field("a", "1", "\r\nContent-Transfer-Encoding: base64")),
            id="part-with-an-encoding",
        ),
        pytest.param(
            TYPE, multipart("Content-Disposition: form-data\r\n\r\n1"), id="disposition-without-a-name"
        ),
        pytest.param(TYPE, multipart("X: y\r\n\r\n1"), id="part-without-a-name"),
        pytest.param(TYPE, multipart(*[field("a", "1")] * 1001), id="multipart-too-many"),
        pytest.param(TYPE, multipart(field("a", "\0")), id="multipart-nul"),
        pytest.param(TYPE, b"\xff" * 100, id="noise"),
    ],
)
def test_what_cannot_be_posted_again(content_type: str, body: bytes) -> None:
    assert posted_form(content_type, body) is None


@given(st.binary(max_size=300), st.sampled_from([URLENCODED, TYPE, MULTIPART + "; boundary=a"]))
def test_whatever_comes_it_is_read(body: bytes, content_type: str) -> None:
    form = posted_form(content_type, body)
    assert form is None or all(isinstance(text, str) for pair in form.fields for text in pair)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20)


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=5), st.booleans())
def test_what_is_posted_is_what_is_read(pairs: list[tuple[str, str]], as_multipart: bool) -> None:
    data: dict[str, list[str]] = {}
    for name, value in pairs:
        data.setdefault(name, []).append(value)
    builder = EnvironBuilder(method="POST", data=data, content_type=MULTIPART if as_multipart else URLENCODED)
    environ = builder.get_environ()
    form = posted_form(environ.get("CONTENT_TYPE", ""), environ["wsgi.input"].read())
    if as_multipart and any(set(name) & set('"\\;') for name in data):
        return
    assert form is not None or not pairs
    if form is not None:
        assert sorted(form.fields) == sorted(pairs)
