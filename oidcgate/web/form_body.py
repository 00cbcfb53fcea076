"""A posted form as its fields, in order, so that a page can post the same again. Pure.

Parameters of a request that is to be understood are `parameters` next door.
"""

from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

__all__ = ["MULTIPART", "PostedForm", "is_form", "posted_form"]

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_MOST_FIELDS: Final = 1000


class PostedForm(NamedTuple):
    """A form.

    Attributes:
        content_type: of the two that forms have, without parameters.
        fields: name and value of each, in order.
    """

    content_type: str
    fields: tuple[tuple[str, str], ...]


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form of those kinds."""
    return content_type.partition(";")[0].strip().lower() in (URLENCODED, MULTIPART)


def posted_form(content_type: str, body: bytes) -> PostedForm | None:
    """The form that a body is.

    Returns:
        None when no page could post the same again: it is no form or a broken one, has a file, too many
        fields, or text that is not UTF-8 or has a NUL.

    Spec: WHATWG URL 5.1; RFC 7578.
    """
    kind, options = parse_options_header(content_type)
    kind = kind.lower()
    try:
        if kind == URLENCODED:
            fields = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        elif kind == MULTIPART and (boundary := options.get("boundary")):
            parts = _multipart(boundary.encode("latin-1"), body)
            if parts is None:
                return None
            fields = parts
        else:
            return None
    except (ValueError, RequestEntityTooLarge):
        return None
    if any("\0" in text for pair in fields for text in pair):
        return None
    return PostedForm(kind, tuple(fields))


def _multipart(boundary: bytes, body: bytes) -> list[tuple[str, str]] | None:
    decoder = MultipartDecoder(boundary, max_parts=_MOST_FIELDS)
    decoder.receive_data(body)
    decoder.receive_data(None)
    fields: list[tuple[str, str]] = []
    part: Field | File | None = None
    value = b""
    while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
        if isinstance(event, Field | File):
            part, value = event, b""
        elif isinstance(event, Data) and part is not None:
            value += event.data
            if not event.more_data and not _add(fields, part, value):
                return None
    return fields if isinstance(event, Epilogue) else None


def _add(fields: list[tuple[str, str]], part: Field | File, value: bytes) -> bool:
    """Add one part; False: it is a file, or has no name. A field for a file that nobody chose is empty."""
    if isinstance(part, File):
        return not part.filename and not value
    # Typed as a text, it is None where a client left it out. Spec: RFC 7578 4.2, which demands it.
    name: str | None = part.name
    if name is None or not _is_plain(part.headers):
        return False
    fields.append((name, value.decode()))
    return True


def _is_plain(headers: Headers) -> bool:
    # A browser gives no field a type of its own; what has one is no text of an input.
    return "content-type" not in headers and "content-transfer-encoding" not in headers
