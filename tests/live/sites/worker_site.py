"""A gated app that tells which worker answered and whom it saw, for gunicorn."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from oidcgate import Gate
from oidcgate.gate.stored_sessions import StoredSessions
from tests.live.sites.names import lead_here

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    headers = [("X-Worker", str(os.getpid())), ("X-User", environ.get("REMOTE_USER", ""))]
    start_response("200 OK", [("Content-Type", "text/plain"), *headers])
    return [b"here"]


lead_here()
application = Gate.from_config(app, os.environ["GATE_CONFIG"])
if isinstance(application.parts.sessions, StoredSessions):
    # With --preload this is the arbiter, whose connections its workers must not share.
    application.parts.sessions._store.get("session", "nobody's", now=0)
