"""JSON answers, errors as JSON, answers that are a token, and which no script of another site may read.

Pages are `provider.pages`, answers to clients by way of the browser `provider.services.responses`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from werkzeug import Request, Response

_NOT_FOR_SCRIPTS: Final = "oidcgate.provider.not_for_scripts"


def json_response(
    document: Mapping[str, Any],
    *,
    status: int = 200,
    cache_control: str = "no-store",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One JSON object, which nothing keeps unless `cache_control` says so."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    response = _answer(body, "application/json", status, cache_control)
    response.headers.update(headers or {})
    return response


def jwt_response(token: str) -> Response:
    """A signed, maybe encrypted token in place of JSON, which nothing keeps. Spec: OIDC Core 5.3.2."""
    return _answer(token, "application/jwt", 200, "no-store")


def keep_from_scripts(request: Request) -> None:
    """Let no script of another site read the answer to this request, whatever its route says.

    That holds for an error too. Noted at the request, because an error becomes an answer elsewhere.
    """
    request.environ[_NOT_FOR_SCRIPTS] = True


def is_for_scripts(request: Request) -> bool:
    """Whether nobody has called `keep_from_scripts` for it."""
    return _NOT_FOR_SCRIPTS not in request.environ


def _answer(body: str, content_type: str, status: int, cache_control: str) -> Response:
    response = Response(body, status=status, content_type=content_type)
    response.headers["Cache-Control"] = cache_control
    if cache_control == "no-store":
        response.headers["Pragma"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
