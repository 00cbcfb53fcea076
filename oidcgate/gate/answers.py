"""The forms of an answer that the gate itself gives: a page, JSON, a redirect; and where a sign-in begins.

What is said in which case is `refusals` next door and the routes'; texts and templates are `pages`.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from werkzeug import Response

from oidcgate.gate.config import LOGIN_PATH, RESEND_PATH
from oidcgate.web.canonical_path import safe_return_path
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.pages import Pages, content_security_policy

# For answers without a page. Pages bring their own, stricter where they can be.
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclasses.dataclass(frozen=True)
class Answers:
    """The forms of an answer.

    Attributes:
        public_url: our own origin; Locations are built from it and never from a request.
        site: the app's name on pages.
        sign_out_targets: where a form of ours that signs out may lead, over all hops of IdPs (for the page's
            policy).
    """

    pages: Pages
    public_url: str
    site: str
    sign_out_targets: tuple[str, ...]

    def page(
        self,
        template: str,
        environ: Mapping[str, Any],
        *,
        status: int = 200,
        form_action: tuple[str, ...] = (),
        **context: Any,
    ) -> Response:
        """A page in the reader's language."""
        language = self.pages.messages.negotiate(environ.get("HTTP_ACCEPT_LANGUAGE"))
        return self.pages.render(
            template, status=status, language=language, form_action=form_action, site=self.site, **context
        )

    def json(self, status: int, document: Mapping[str, object]) -> Response:
        """An answer for a program."""
        body = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
        response = Response(body, status=status, content_type="application/json")
        response.headers.extend(_HEADERS)
        return response

    def method_not_allowed(self, methods: Iterable[str], error: str = "method_not_allowed") -> Response:
        """No to a method, and which would do. Spec: RFC 9110 15.5.6."""
        response = self.json(405, {"error": error})
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response

    def redirect(self, url: str, *, status: int = 303) -> Response:
        """Send a browser on: with GET, whatever it came with, unless another status is asked for."""
        response = Response(status=status)
        response.headers.extend(_HEADERS)
        response.headers["Location"] = url
        return response

    def empty(self) -> Response:
        """Yes, and nothing more to say."""
        response = Response(status=200)
        del response.headers["Content-Type"]
        response.headers.extend(_HEADERS)
        return response

    def framed(
        self, by: Iterable[str], *, body: str = "", script: str = "", frames: Iterable[str] = ()
    ) -> Response:
        """A page that nobody sees, which pages of these origins may hold in a frame.

        Args:
            by: URLs with these origins.
            body: HTML.
            script: the one script in it that runs.
            frames: URLs that frames of this page load; each counts with its origin.
        """
        page = f"<!doctype html>\n<title></title>\n{body}\n"
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers.extend(_HEADERS)
        response.headers["Content-Security-Policy"] = content_security_policy(
            frame_ancestors=by, script=script, frame_src=frames
        )
        # Whose page a frame is in may decide what the IdP's frame lets it know.
        response.headers["Referrer-Policy"] = "strict-origin"
        return response

    def no_grant(self) -> Response:
        """The answer to a CORS preflight: no CORS header at all is the browser's "no"."""
        response = Response(status=204)
        del response.headers["Content-Type"]
        response.headers.extend(_HEADERS)
        return response

    def login_url(self, return_path: str | None = None, **parameters: str) -> str:
        """Where a sign-in begins.

        On the configured origin: whoever came by another name of this host would otherwise sign in there and
        never see the cookie again.
        """
        return self.public_url + self.login_path(return_path, **parameters)

    def login_path(self, return_path: str | None = None, **parameters: str) -> str:
        """The same on our own origin, with what else it is to ask for."""
        query = {**({} if return_path is None else {"rd": return_path}), **parameters}
        return LOGIN_PATH + (f"?{urlencode(query)}" if query else "")

    def resend_url(self, form_id: str) -> str:
        """Where a form that waited for a sign-in can be sent again."""
        return f"{self.public_url}{RESEND_PATH}?{urlencode({'form': form_id})}"

    def return_path(self, wanted: str) -> str | None:
        """Where a sign-in or a sign-out may lead: `wanted`, if it is a path on our own origin, else None.

        Never to a route of the gate: a sign-in that leads to a sign-in or a sign-out is a circle or a trick.
        """
        path = safe_return_path(wanted, (self.public_url,)) if wanted else None
        return None if path is None or path.startswith(GATE_PATH) else path

    def login_required(self) -> Response:
        """What a script without a session is told: a redirect would be an opaque error to it."""
        return self.json(401, {"error": "login_required", "login_url": self.login_url()})
