"""HTTP without a socket: a requests adapter that calls a WSGI app of this process.

The app runs in the caller's thread, so a gate that asks a provider mounted beside it needs no second worker.
No rules are applied here; `oidcgate.net.fetch` puts its guard around this adapter as around a socket.
"""

import io
import sys
from collections.abc import Callable, Iterable
from http.client import HTTPMessage, responses
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class WSGIAdapter(BaseAdapter):
    """Answers every request of a session by calling `app`.

    Headers, repeated ones and cookies included, pass unchanged both ways; the body of the answer is collected
    before it is returned. Whatever host the URL names, the app gets the request: mount the adapter where that
    is meant.

    Args:
        app: A WSGI app; its `SCRIPT_NAME` is empty.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        super().__init__()
        self._app = app

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Call the app once and return its answer.

        Raises:
            requests.ConnectionError: The app raised, or broke the protocol.
        """
        call = _Call()
        try:
            call.run(self._app, _environ(request))
        except Exception as error:
            raise requests.ConnectionError(
                f"the app raised {type(error).__name__}", request=request
            ) from error
        return _response(request, call)

    def close(self) -> None:
        """Nothing is kept open."""


class _Call:
    """One call of a WSGI app and what it answered."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.body = io.BytesIO()

    def run(self, app: "WSGIApplication", environ: "WSGIEnvironment") -> None:
        chunks: Iterable[bytes] = app(environ, self._start_response)
        try:
            for chunk in chunks:
                self.body.write(chunk)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        if not self.status:
            raise RuntimeError("the app never called start_response")

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        try:
            if self.status and exc_info is None:
                raise RuntimeError("the app called start_response twice")
            if exc_info is not None and exc_info[1] is not None and self.body.tell():
                # PEP 3333: too late to change the head; the first error stands.
                raise exc_info[1].with_traceback(exc_info[2])
        finally:
            exc_info = None
        self.status, self.headers = status, list(headers)
        return self.body.write


def _environ(request: requests.PreparedRequest) -> "WSGIEnvironment":
    url = urlsplit(request.url or "")
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode("utf-8")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method or "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path or "/").decode("latin-1"),
        "QUERY_STRING": url.query,
        "RAW_URI": request.path_url,
        "SERVER_NAME": url.hostname or "",
        "SERVER_PORT": str(url.port or (443 if url.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc.rpartition("@")[2],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    return environ


def _response(request: requests.PreparedRequest, call: _Call) -> requests.Response:
    code, _, reason = call.status.partition(" ")
    # http.client's own type, because requests reads cookies, one Set-Cookie each, from the message
    # underneath.
    message = HTTPMessage()
    for name, value in call.headers:
        message[name] = value
    body = b"" if request.method == "HEAD" else call.body.getvalue()
    raw = HTTPResponse(
        body=io.BytesIO(body),
        headers=HTTPHeaderDict(call.headers),
        status=int(code),
        reason=reason or responses.get(int(code), ""),
        preload_content=False,
        decode_content=False,
        original_response=_Original(message),  # type: ignore[arg-type]  # two of its members are used
        request_method=request.method,
    )
    response = requests.Response()
    response.status_code = raw.status
    response.reason = raw.reason or ""
    response.headers = CaseInsensitiveDict(raw.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = raw
    response.url = request.url or ""
    response.request = request
    extract_cookies_to_jar(response.cookies, request, raw)  # type: ignore[no-untyped-call]  # no types there
    return response


class _Original:
    """What requests and urllib3 expect under a response: the message, and that nothing is left to read."""

    def __init__(self, message: HTTPMessage) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""
