"""What a request is, as far as a decision needs to know: read from what a server made of it, judged nowhere.

Here live `Facts`, the kind of a request (a person navigating, a script, a CORS preflight, an upgrade), what
is known of where it came from, and the refusal of requests that cannot be understood. The path's one form
comes from `oidcgate.web.canonical_path`; what follows from the facts is decided in `oidcgate.gate.decision`.
"""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from oidcgate.web.canonical_path import BadPath, canonical_path, check_raw_target, opaque_slashes

__all__ = [
    "BadRequest",
    "Facts",
    "Misdirected",
    "RequestFault",
    "RequestKind",
    "facts_from_environ",
    "kind_of",
]


class RequestKind(StrEnum):
    """Who waits for the answer, and so in what form a refusal must come."""

    NAVIGATION = "navigation"  # a browser shows the answer as a page and follows redirects
    SCRIPT = "script"  # a program reads the answer; to it a redirect to another origin is an opaque error
    PREFLIGHT = "preflight"  # a browser asks what a script of another origin may do; it never sends cookies
    UPGRADE = "upgrade"  # a WebSocket or another protocol


class RequestFault(StrEnum):
    """What, besides its path, makes a request impossible to understand."""

    METHOD = "method_malformed"
    HOST = "host_malformed"
    SPLIT_PATH = "path_split_inside_a_segment"
    CUT_BY_CLIENT = "path_cut_by_a_header"
    PARAMETERS = "parameters_malformed"
    OTHER_HOST = "host_is_not_served_here"


class BadRequest(Exception):
    """The request is not understood and is refused with 400; `reason` is a fault of request or path."""

    status = 400

    def __init__(self, reason: StrEnum) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Misdirected(BadRequest):
    """The request is for a host that is none of ours. Spec: RFC 9110 15.5.20."""

    status = 421

    def __init__(self) -> None:
        super().__init__(RequestFault.OTHER_HOST)


class Facts(NamedTuple):
    """One request, as a decision sees it.

    Attributes:
        method: as sent; upper case, because frameworks fold it and rules do not.
        path: canonical text: what the app will see as SCRIPT_NAME + PATH_INFO.
        query: the query string, as sent.
        kind: who waits for the answer.
        host: the Host header, as sent; "" when absent. Not a source of our own URL.
        origin: the Origin header; "" when absent.
        fetch_site: the Sec-Fetch-Site header; "" when absent.
        other_path: the path as somebody reads it to whom an encoded slash separates nothing; None where both
            read the same.
    """

    method: str
    path: str
    query: str
    kind: RequestKind
    host: str
    origin: str
    fetch_site: str
    other_path: str | None = None

    def is_same_origin(self, origins: Collection[str]) -> bool:
        """Whether the browser vouches that a page of our own made this request.

        A request that says nothing of where it comes from is not: silence is what an old browser and an
        attacker have in common.

        Args:
            origins: our own origins, as a browser writes them.
        """
        if self.fetch_site:
            # "same-site" is a sibling subdomain, "none" the address bar: neither is a page of ours.
            return self.fetch_site == "same-origin" and (not self.origin or self.origin in origins)
        return self.origin in origins


# Frameworks turn "get" into GET (werkzeug does); a rule for GET would then not have been asked.
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
_COMMON_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Also a comma, by which WSGI servers join repeated headers: two Host headers mean two hosts to two readers.
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+", re.ASCII)
# A name of 253 characters and its port.
_LONGEST_HOST: Final = 262


def facts_from_environ(environ: Mapping[str, Any], *, insecure_encoded_slash: bool = False) -> Facts:
    """Read the facts of a request.

    The body is not touched and nothing here is looked up anywhere: this may run on an event loop.

    Args:
        environ: as the server made it. `RAW_URI` or `REQUEST_URI` is compared when the server gives it.
        insecure_encoded_slash: let `%2F` stand in a path that is passed on as it came.

    Raises:
        BadRequest: method, host or path cannot be understood.
    """
    get = environ.get
    method: str = environ["REQUEST_METHOD"]
    if method not in _COMMON_METHODS and not _METHOD.fullmatch(method):
        raise BadRequest(RequestFault.METHOD)
    script_name: str = get("SCRIPT_NAME", "")
    path_info: str = get("PATH_INFO", "")
    # Where the path is cut is the server's or a header's choice; only a cut at a slash changes nothing.
    if script_name and path_info and path_info[0] != "/":
        raise BadRequest(RequestFault.SPLIT_PATH)
    decoded = script_name + path_info
    raw = get("RAW_URI") or get("REQUEST_URI")
    target = None if raw is None else raw.partition("?")[0]
    try:
        if len(decoded) <= _REMEMBERED_LENGTH and (target is None or len(target) <= _REMEMBERED_LENGTH):
            path, other_path = _remembered_path(decoded or "/", target, insecure_encoded_slash)
        else:
            path, other_path = _path(decoded, target, insecure_encoded_slash)
    except BadPath as bad:
        raise BadRequest(bad.fault) from None
    host: str = get("HTTP_HOST", "")
    if host and (len(host) > _LONGEST_HOST or not _is_host(host)):
        raise BadRequest(RequestFault.HOST)
    return Facts(
        method,
        path,
        get("QUERY_STRING", ""),
        kind_of(method, environ),
        host,
        get("HTTP_ORIGIN", ""),
        get("HTTP_SEC_FETCH_SITE", ""),
        other_path,
    )


def _path(decoded: str, target: str | None, insecure_encoded_slash: bool) -> tuple[str, str | None]:
    path = canonical_path(decoded)
    if target is None:
        return path, None
    check_raw_target(target, decoded, insecure_encoded_slash=insecure_encoded_slash)
    return path, opaque_slashes(target) if insecure_encoded_slash else None


@lru_cache(maxsize=256)
def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None


# Both are pure, and a site has few hosts and paths compared with its requests.
_REMEMBERED_LENGTH: Final = 256
_remembered_path = lru_cache(maxsize=4096)(_path)


def kind_of(method: str, environ: Mapping[str, Any]) -> RequestKind:
    """Who waits for the answer, by what the head of the request says."""
    get = environ.get
    if method == "OPTIONS" and "HTTP_ORIGIN" in environ and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
        return RequestKind.PREFLIGHT
    if "HTTP_UPGRADE" in environ and "upgrade" in get("HTTP_CONNECTION", "").lower():
        return RequestKind.UPGRADE
    mode = get("HTTP_SEC_FETCH_MODE")
    if mode is not None:
        # A speculative load must not open a login attempt that nobody asked for. Spec: Fetch, Sec-Purpose.
        speculative = "prefetch" in get("HTTP_SEC_PURPOSE", "")
        return RequestKind.NAVIGATION if mode == "navigate" and not speculative else RequestKind.SCRIPT
    # Older browsers and programs. Scripts that care say X-Requested-With; a page is asked for by its type.
    if "HTTP_X_REQUESTED_WITH" not in environ and "text/html" in get("HTTP_ACCEPT", ""):
        return RequestKind.NAVIGATION
    return RequestKind.SCRIPT
