"""The site `app.test`: an app whose page holds the gate's frame and says what that tells it, for gunicorn."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from oidcgate import Gate
from tests.live.sites.names import lead_here

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = """<!doctype html>
<title>App</title>
<main id="app"><p id="user">{user}</p><p id="told"></p></main>
<script>
addEventListener("message", ({{ origin, data }}) => {{
  if (origin === location.origin) document.getElementById("told").textContent = data;
}});
</script>
<iframe id="watch" src="/.oidcgate/session-frame" hidden></iframe>
"""


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE.format(user=environ.get("REMOTE_USER", "")).encode()]


lead_here()
application = Gate.from_config(app, os.environ["GATE_CONFIG"])
