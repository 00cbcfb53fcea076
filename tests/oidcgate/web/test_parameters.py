"""Queries and forms as pairs: in order, repeated ones included, and refused as a whole when unreadable."""

from io import BytesIO
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from oidcgate.web.facts import BadRequest, RequestFault
from oidcgate.web.parameters import FORM, MAX_BYTES, form_pairs, query_pairs


def posted(body: bytes, content_type: str = FORM, *, length: bool = True) -> Request:
    environ = EnvironBuilder(
        method="POST", content_type=content_type, input_stream=BytesIO(body), content_length=len(body)
    ).get_environ()
    if not length:
        del environ["CONTENT_LENGTH"]
    return Request(environ)


def asked(query: str) -> Request:
    return Request({**EnvironBuilder().get_environ(), "QUERY_STRING": query})


READ = [
    pytest.param("", [], id="empty"),
    pytest.param("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")], id="repeated"),
    pytest.param("a=&b", [("a", ""), ("b", "")], id="without-a-value"),
    pytest.param("s=a%20b+c%2Bd", [("s", "a b c+d")], id="spaces-and-plus"),
    pytest.param("n=%C3%A9", [("n", "é")], id="utf-8"),
    pytest.param("a=1;b=2", [("a", "1;b=2")], id="semicolon-separates-nothing"),
]


@pytest.mark.parametrize(("text", "pairs"), READ)
def test_pairs_in_their_order(text: str, pairs: list[tuple[str, str]]) -> None:
    assert query_pairs(asked(text)) == pairs
    assert form_pairs(posted(text.encode())) == pairs


UNREADABLE = [
    pytest.param("a=%ff", id="not-utf-8"),
    pytest.param("a=\xe9", id="raw-bytes"),
    pytest.param("&".join(f"a{n}=1" for n in range(51)), id="too-many"),
    pytest.param("a=" + "x" * MAX_BYTES, id="too-long"),
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read_is_refused_as_a_whole(text: str) -> None:
    for read in (lambda: query_pairs(asked(text)), lambda: form_pairs(posted(text.encode("latin-1")))):
        with pytest.raises(BadRequest) as caught:
            read()
        assert caught.value.reason is RequestFault.PARAMETERS


def test_a_form_says_how_long_it_is() -> None:
    with pytest.raises(BadRequest):
        form_pairs(posted(b"a=1", length=False))


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", ""])
def test_another_body_is_no_form_and_is_not_read(content_type: str) -> None:
    request = posted(b"a=1", content_type)
    assert form_pairs(request) == []
    assert request.get_data() == b"a=1"


@given(st.lists(st.tuples(st.text(), st.text()), max_size=20))
def test_what_is_written_is_read(pairs: list[tuple[str, str]]) -> None:
    encodable = all(text.isascii() or text.encode("utf-8", "ignore") == text.encode("utf-8", "replace")
                    for pair in pairs for text in pair)  # fmt: skip
    if encodable:
        text = urlencode(pairs)
        assert query_pairs(asked(text)) == pairs
        assert form_pairs(posted(text.encode())) == pairs


@given(st.binary(max_size=200))
@example(b"a=%ed%a0%80")
@example(b"a=%c0%af")
@example(b"\xff=1")
@example(b"=&=&%=%zz")
def test_whatever_arrives_is_pairs_of_text_or_refused(body: bytes) -> None:
    """Query and form are read alike, and what is read can be written down as UTF-8."""
    said = []
    for read, request in ((form_pairs, posted(body)), (query_pairs, asked(body.decode("latin-1")))):
        try:
            said.append(read(request))
        except BadRequest:
            said.append(None)
    assert said[0] == said[1]
    for name, value in said[0] or ():
        assert name.encode() + value.encode() is not None
