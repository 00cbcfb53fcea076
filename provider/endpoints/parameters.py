"""The parameters of a request: what `oidcgate.web.parameters` reads, with its refusals in OAuth's words."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from werkzeug import Request

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.web import parameters
from oidcgate.web.facts import BadRequest
from provider.pages import ErrorKind
from provider.services.responses import PageError


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The query's parameters in their order.

    Raises:
        InvalidRequest: too long, too many, or not UTF-8.
    """
    with _in_oauth_words():
        return parameters.query_pairs(request)


def form_pairs(request: Request) -> list[tuple[str, str]]:
    """The parameters of an `application/x-www-form-urlencoded` body in their order.

    Raises:
        InvalidRequest: another content type, too long, of a length that is not said, too many, or not UTF-8.
    """
    if request.mimetype != parameters.FORM:
        raise InvalidRequest(f"The body is not {parameters.FORM}.")
    with _in_oauth_words():
        return parameters.form_pairs(request)


def own_fields(pairs: Iterable[tuple[str, str]], names: Sequence[str]) -> dict[str, str]:
    """Those of `names` that one of our own forms or links carries.

    Raises:
        PageError: a field is there twice. Our pages never send that.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise PageError(ErrorKind.BAD_REQUEST, detail=f"the field {name} is repeated")
        if name in names:
            found[name] = value
    return found


@contextmanager
def _in_oauth_words() -> Iterator[None]:
    try:
        yield
    except BadRequest:
        raise InvalidRequest("The parameters are too long, too many, or not UTF-8.") from None
