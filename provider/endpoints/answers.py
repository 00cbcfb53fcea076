"""JSON answers, and errors as JSON.

Pages are `provider.pages`, answers to clients by way of the browser `provider.services.responses`.
"""

import json
from collections.abc import Mapping
from typing import Any

from werkzeug import Response


def json_response(
    document: Mapping[str, Any],
    *,
    status: int = 200,
    cache_control: str = "no-store",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One JSON object, which nothing keeps unless `cache_control` says so."""
    response = Response(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        status=status,
        content_type="application/json",
    )
    response.headers["Cache-Control"] = cache_control
    if cache_control == "no-store":
        response.headers["Pragma"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.update(headers or {})
    return response
