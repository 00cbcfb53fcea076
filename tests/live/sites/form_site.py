"""A gated app for gunicorn: a form, a page that tells its address, and one that wants a new sign-in."""

import html
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from oidcgate import Gate
from tests.live.sites.names import lead_here

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FORM = """<!doctype html><title>Order</title><main id="page-form">
<form method="post" action="/orders?of=today"><input name="amount" value="12">
<textarea name="note"></textarea><button id="order">Order</button></form></main>"""
HERE = """<!doctype html><title>Here</title><main id="page-here"><p id="where"></p>
<script>
document.getElementById("where").textContent = location.pathname + location.search + location.hash;
</script>
</main>"""
#: When the person last proved who they are, as of the first look at the vault.
_first: dict[str, int | None] = {}


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    path, user = environ["PATH_INFO"], environ["oidcgate.identity"]
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
    if path == "/vault" and user.auth_time == _first.setdefault(user.user_name, user.auth_time):
        challenge = 'Bearer error="insufficient_user_authentication", max_age="0"'
        start_response("401 Unauthorized", [*headers, ("WWW-Authenticate", challenge)])
        return [b"not yet"]
    start_response("200 OK", headers)
    if path == "/form":
        return [FORM.encode()]
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        fields = [f"{name}={value}" for name, value in parse_qsl(body)]
        lines = [user.user_name, environ["QUERY_STRING"], *fields]
        told = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        return [f'<!doctype html><title>Ordered</title><main id="page-ordered">{told}</main>'.encode()]
    return [HERE.encode()]


lead_here()
application = Gate.from_config(app, os.environ["GATE_CONFIG"])
