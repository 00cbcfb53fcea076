"""The site `app.test` as a single-page application on npm `oidc-client-ts`, for gunicorn.

Files, and one cookie that stands for a session of the site itself: it begins where a sign-in ends, and ends
where the provider tells of a sign-out, in a frame.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_FOLDER = Path(__file__).parent / "spa"
_COOKIE = "signed-in=yes; Path=/; Secure; HttpOnly; SameSite=None"
_COOKIES = {"/callback": _COOKIE, "/out": f"{_COOKIE}; Max-Age=0"}
_SCRIPTS = {"/spa.js": _FOLDER / "spa.js", "/oidc-client-ts.js": Path(os.environ["LIBRARY"])}


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """A script, or for every other path the page, which is told where its provider is."""
    script = _SCRIPTS.get(environ["PATH_INFO"])
    kind = "text/html" if script is None else "text/javascript"
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Set-Cookie", f"issuer={os.environ['ISSUER']}; Path=/; Secure"),
    ]
    if environ["PATH_INFO"] in _COOKIES:
        headers.append(("Set-Cookie", _COOKIES[environ["PATH_INFO"]]))
    start_response("200 OK", headers)
    return [(script or _FOLDER / "index.html").read_bytes()]
