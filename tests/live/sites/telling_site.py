"""A gated app that tells what it is told of who is there. Tests set the gate's clock ahead.

`/watched` is a page with the gate's frame.
GATE_CLOCK_AHEAD is a file that says by how many seconds.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from oidcgate import Gate
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_AHEAD = Path(os.environ["GATE_CLOCK_AHEAD"])


def _clock() -> float:
    return time.time() + float(_AHEAD.read_text() or 0)


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/watched":
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [
            b'<!doctype html>\n<title>App</title>\n<iframe src="/.oidcgate/session-frame" hidden></iframe>\n'
        ]
    told = {
        "claims": environ["oidcgate.identity"].claims,
        "access_token": environ.get("oidcgate.access_token"),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told, default=dict).encode()]


application = Gate.from_parts(app, build(load_config(os.environ["GATE_CONFIG"], os.environ), clock=_clock))
