"""The parameters of a query or a form as a list of pairs, so that a repeated one is seen.

Not here: what they mean (`oidcgate.protocol`). Werkzeug's own mappings would do but for two things: they
replace bytes that are no UTF-8, and a `state` that comes back altered is a bug nobody finds.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from oidcgate.web.facts import BadRequest, RequestFault

if TYPE_CHECKING:
    from werkzeug import Request

__all__ = ["FORM", "MAX_BYTES", "form_pairs", "query_pairs"]

#: The content type of a form.
FORM: Final = "application/x-www-form-urlencoded"
#: Longest query or form, in bytes. An authorization request with an ID token hint has 2 to 4 KB.
MAX_BYTES: Final = 32_768
_MAX_PARAMETERS: Final = 50


def query_pairs(request: "Request") -> list[tuple[str, str]]:
    """Name and value of each parameter of the query, in order.

    Raises:
        BadRequest: too long, too many, or not UTF-8.
    """
    return _pairs(request.query_string)


def form_pairs(request: "Request") -> list[tuple[str, str]]:
    """Name and value of each field of a form body, in order; none for a body of another type.

    Raises:
        BadRequest: too long, of a length that is not said, too many, or not UTF-8.
    """
    if request.mimetype != FORM:
        return []
    length = request.content_length
    if length is None or length > MAX_BYTES:
        raise BadRequest(RequestFault.PARAMETERS)
    return _pairs(request.stream.read(length))


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    if len(encoded) > MAX_BYTES:
        raise BadRequest(RequestFault.PARAMETERS)
    try:
        return parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise BadRequest(RequestFault.PARAMETERS) from None
