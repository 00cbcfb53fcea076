"""CPU time of one request. Standard library only: the peers' environment runs it as well."""

import gc
import io
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_CHUNK = 50


class Cost(NamedTuple):
    """Microseconds of CPU time for one request; on a shared machine the minimum is what counts."""

    minimum: float
    median: float


def request(cookie: str) -> dict[str, Any]:
    """The environ of a browser's request as gunicorn makes it."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/reports/2026",
        "QUERY_STRING": "page=2",
        "RAW_URI": "/reports/2026?page=2",
        "SERVER_NAME": "app.example.com",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "gunicorn",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "51000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "HTTP_HOST": "app.example.com",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
        "HTTP_CONNECTION": "keep-alive",
        "HTTP_COOKIE": f"theme=dark; {cookie}",
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "HTTP_SEC_FETCH_MODE": "navigate",
        "HTTP_SEC_FETCH_DEST": "document",
        "HTTP_SEC_FETCH_USER": "?1",
    }


def _ignore(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
    if not status.startswith("200"):
        raise RuntimeError(f"the request was answered with {status}: nothing was measured")
    return lambda data: None


def serve(app: Application, environ: dict[str, Any]) -> None:
    """One request as a server makes it, its answer read and closed."""
    result = app(environ, _ignore)
    for _ in result:
        pass
    close = getattr(result, "close", None)
    if close is not None:
        close()


def cost(app: Application, cookies: Callable[[], Sequence[str]], *, rounds: int) -> Cost:
    """What one request costs in `app`.

    Args:
        app: a WSGI app that answers 200.
        cookies: called before each round; one request is made with each of them, in order.
        rounds: how often all of it is done.
    """
    chunks = []
    for _ in range(rounds):
        sent = cookies()
        for start in range(0, len(sent), _CHUNK):
            # Made just before they are used, as by a server: not all of a round's requests lie in memory.
            environs = [request(cookie) for cookie in sent[start : start + _CHUNK]]
            gc.disable()
            began = time.process_time_ns()
            for environ in environs:
                serve(app, environ)
            chunks.append((time.process_time_ns() - began) / len(environs) / 1000)
            gc.enable()
    return Cost(min(chunks), statistics.median(chunks))


def over(guarded: Cost, bare: Cost) -> Cost:
    """What is added to the bare app."""
    return Cost(guarded.minimum - bare.minimum, guarded.median - bare.median)
