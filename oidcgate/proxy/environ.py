"""What a WSGI environ says of a request: its target, its fields, its body. Nothing is sent from here.

Here lives the way from what a server has taken apart back to what came over the wire, as far as that can be
known. Which of it passes is decided in `request_head` and `framing` next door; what the gate has put into an
environ is `wsgi`'s.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from oidcgate.proxy.fields import BadHead, HeaderPair, HeadFault
from oidcgate.proxy.framing import CHUNKED, Framing, request_framing
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble
from oidcgate.web.canonical_path import canonical_path, check_raw_target, quote_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["asks_for_websocket", "body_of", "fields_of", "path_and_target"]

_BLOCK: Final = 64 * 1024


def asks_for_websocket(environ: "WSGIEnvironment") -> bool:
    """Whether the request is the handshake of a WebSocket."""
    # Other upgrades are offers that a server need not take up; without their fields the request stays whole.
    return (
        "HTTP_UPGRADE" in environ
        and "websocket" in environ["HTTP_UPGRADE"].lower()
        and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
    )


def path_and_target(environ: "WSGIEnvironment", insecure_encoded_slash: bool) -> tuple[str, bytes]:
    """The path that was judged, and how it is asked for: as on the wire, if the server says how that was.

    Raises:
        BadPath: it has two readings.
    """
    decoded: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is not None:
        raw = raw.partition("?")[0]
    if len(decoded) + len(raw or "") <= _REMEMBERED_LENGTH:
        return _remembered_target(decoded or "/", raw, insecure_encoded_slash)
    return _target(decoded, raw, insecure_encoded_slash)


def _target(decoded: str, raw: str | None, insecure_encoded_slash: bool) -> tuple[str, bytes]:
    path = canonical_path(decoded)
    if raw is None:
        return path, quote_path(path).encode("ascii")
    check_raw_target(raw, decoded, insecure_encoded_slash=insecure_encoded_slash)
    return path, raw.encode("latin-1")


# Both are pure, and a site has few paths compared with its requests.
_REMEMBERED_LENGTH: Final = 512
_remembered_target = lru_cache(maxsize=2048)(_target)


def fields_of(environ: "WSGIEnvironment") -> list[HeaderPair]:
    """The fields of the request. A server has joined repeated ones and made "_" of "-".

    Raises:
        BadHead: two fields came that the upstream would take for one.
    """
    headers = [
        (_header_name(key), value.encode("latin-1")) for key, value in environ.items() if key[:5] == "HTTP_"
    ]
    for key, name in _CGI_FIELDS:
        value = environ.get(key)
        other = environ.get("HTTP_" + key)
        if other is not None:
            # Some servers give both. Where they differ, the second came under another name, such as
            # `Content_Length`, and to the upstream the two would be one.
            if other != value:
                raise BadHead(HeadFault.NAME)
        elif value:
            headers.append((name, value.encode("latin-1")))
    return headers


_CGI_FIELDS: Final = (("CONTENT_TYPE", b"content-type"), ("CONTENT_LENGTH", b"content-length"))


def _name(key: str) -> bytes:
    return key[5:].replace("_", "-").lower().encode("latin-1")


_REMEMBERED_KEY_LENGTH: Final = 64
_remembered_name = lru_cache(maxsize=1024)(_name)


def _header_name(key: str) -> bytes:
    return _remembered_name(key) if len(key) <= _REMEMBERED_KEY_LENGTH else _name(key)


def body_of(
    environ: "WSGIEnvironment", headers: Iterable[HeaderPair]
) -> tuple[Framing, Iterator[bytes] | None]:
    """How the body is framed for the upstream, and its blocks in that frame; None when there is none.

    Raises:
        BadHead: the framing is ambiguous.
        UpstreamTrouble: only the server could say where the body ends, and it does not.
    """
    protocol: str = environ.get("SERVER_PROTOCOL", "")
    framing = request_framing(headers, "1.0" if protocol == "HTTP/1.0" else "1.1")
    if framing.length:
        return framing, _measured(environ["wsgi.input"], framing.length)
    if framing.chunked:
        if not environ.get("wsgi.input_terminated"):
            raise UpstreamTrouble(Trouble.NO_LENGTH)
        return framing, _in_chunks(environ["wsgi.input"])
    if framing.length is None and environ.get("wsgi.input_terminated") and not protocol.startswith("HTTP/1"):
        # From HTTP/2 on, a body need not be announced at all.
        read = _reader(environ["wsgi.input"])
        first = read(_BLOCK)
        if first:
            return CHUNKED, chain([_chunk(first)], _in_chunks(environ["wsgi.input"]))
    return framing, None


def _reader(source: Any) -> Callable[[int], bytes]:
    # `read` of some servers waits until all that was asked for is there; `read1` takes what has come.
    reader: Callable[[int], bytes] = getattr(source, "read1", None) or source.read
    return reader


def _measured(source: Any, length: int) -> Iterator[bytes]:
    read = _reader(source)
    while length:
        data = read(min(length, _BLOCK))
        length -= len(data)
        if not data or length < 0:
            raise UpstreamTrouble(Trouble.CLIENT_GONE, "the body is shorter than it says")
        yield data


def _in_chunks(source: Any) -> Iterator[bytes]:
    read = _reader(source)
    while data := read(_BLOCK):
        yield _chunk(data)
    yield b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
