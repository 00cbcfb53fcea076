"""An app that knows nothing of a gate and reads in headers who somebody is, for gunicorn behind the sidecar.

`/vault` asks for a sign-in newer than the one that its link names; `/` has the links and a form.
"""

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HOME = """<!doctype html><title>Orders</title><main id="app-home"><p id="user">{user}</p>
<a id="vault" href="/vault?newer-than={auth_time}">Vault</a> <a id="payments" href="/payments">Payments</a>
<form method="post" action="/orders?of=today"><input name="amount" value="12">
<textarea name="note"></textarea><button id="order">Order</button></form></main>"""


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    user, auth_time = environ["HTTP_X_FORWARDED_USER"], int(environ["HTTP_X_AUTH_TIME"])
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
    if path == "/vault" and auth_time <= int(parse_qs(query)["newer-than"][0]):
        challenge = 'Bearer error="insufficient_user_authentication", max_age="0"'
        start_response("401 Unauthorized", [*headers, ("WWW-Authenticate", challenge)])
        return [b"not yet"]
    start_response("200 OK", headers)
    if path == "/":
        return [HOME.format(user=html.escape(user), auth_time=auth_time).encode()]
    lines = [user, path, environ.get("HTTP_X_ACR", "")]
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        lines = [user, query, *(f"{name}={value}" for name, value in parse_qsl(body))]
    told = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return [f'<!doctype html><title>Told</title><main id="app-told">{told}</main>'.encode()]
