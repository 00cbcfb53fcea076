"""The parameters of a request as a list of pairs, so that a repeated one is seen.

Not here: what they mean (`oidcgate.protocol`). Werkzeug's own mappings would do but for two things: they
replace bytes that are no UTF-8, and a `state` that comes back altered is a bug nobody finds.
"""

from typing import Final
from urllib.parse import parse_qsl

from werkzeug import Request

from oidcgate.protocol.errors import InvalidRequest

#: Longest query or form, in bytes. A request with an ID token hint has 2 to 4 KB.
MAX_BYTES: Final = 32_768
_MAX_PARAMETERS: Final = 100


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The query's parameters in their order.

    Raises:
        InvalidRequest: too long, too many, or not UTF-8.
    """
    return _pairs(request.query_string)


def form_pairs(request: Request) -> list[tuple[str, str]]:
    """The parameters of an `application/x-www-form-urlencoded` body in their order.

    Raises:
        InvalidRequest: another content type, too long, too many, or not UTF-8.
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise InvalidRequest("The body is not application/x-www-form-urlencoded.")
    length = request.content_length
    if length is None or length > MAX_BYTES:
        raise InvalidRequest("The body is too long, or its length is not given.")
    return _pairs(request.stream.read(length))


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    if len(encoded) > MAX_BYTES:
        raise InvalidRequest("The request is too long.")
    try:
        return parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise InvalidRequest("The parameters are too many, or not UTF-8.") from None
