"""`/check_session`: the page that applications frame, to ask whether the same person is still signed in.

The only page of the provider that can be framed, and only by pages of those clients. It holds nothing but the
name of a cookie and a script (`provider/pages/check_session.js`), and asks the server nothing: the cookie and
what it is compared with are `provider.services.session_management`.
"""

import html
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from werkzeug import Request, Response

import provider.pages
from oidcgate.web.pages import content_security_policy
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.browser_session import cookie_names
from provider.services.frame_origins import FrameOrigins, allowed_origins
from provider.services.responses import PageError

PATH: Final = "/check_session"
_SCRIPT: Final = Path(provider.pages.__file__).with_name("check_session.js")


@dataclass(frozen=True)
class CheckSession:
    """Spec: OIDC Session Management 1.0 3.2, 3.3."""

    origins: FrameOrigins

    @staticmethod
    @lru_cache(maxsize=1)
    def script() -> str:
        """The script of the page; read once, on first use."""
        return _SCRIPT.read_text(encoding="utf-8")

    def __call__(self, realm: Realm, request: Request) -> Response:
        """The page.

        Raises:
            PageError: no client of the realm has session management.
        """
        origins = self.origins.of(realm)
        if not origins:
            raise PageError(ErrorKind.NOT_FOUND, status=404, detail="no client has session_management")
        allowed = allowed_origins(origins, request.headers.get("Referer"))
        name, expected = html.escape(cookie_names(realm).state), html.escape(" ".join(allowed))
        response = Response(
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Session</title>\n'
            f'<script data-cookie="{name}" data-origins="{expected}">{self.script()}</script></html>\n',
            content_type="text/html; charset=utf-8",
        )
        policy = content_security_policy(script=self.script(), frame_ancestors=allowed)
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Whoever opens it as a window holds nothing of it.
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response
