"""Which URLs may be an issuer, an endpoint or a redirect target, and when two of them are the same.

Equal means byte-equal; nothing is normalised, because what one side normalises the other side compares
(P-01). Which *addresses* may be called is `oidcgate.net.addresses`.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import urlencode

from oidcgate.loopback import is_loopback_host

_MAX_URL: Final = 2048
_LEGAL: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_AUTHORITY: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2[eE]){1,2}(?=/|$)")
# RFC 8252 7.3: the port of a loopback redirect is chosen by the app when it starts. The IP literals only: 8.3
# advises against `localhost`, which may resolve elsewhere and is confused with names that begin with it.
_LOOPBACK_REDIRECT: Final = re.compile(
    r"(?P<origin>http://(?:127\.0\.0\.1|\[::1\]))(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][^#]*)?"
)
# RFC 8252 7.1: the scheme is a domain name in reverse, so that it has an owner; no authority, so one slash.
_PRIVATE_USE: Final = re.compile(
    r"[a-z][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+:/(?!/)(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2}){0,500}"
)


_DEFAULT_PORT: Final = {"https": 443, "http": 80}


class _Parts(NamedTuple):
    scheme: str
    host: str
    path: str
    query: str
    fragment: str


def issuer_problem(issuer: str, *, insecure_allow_http_loopback: bool = False) -> str | None:
    """Return why `issuer` cannot be an issuer identifier, or None.

    Spec: OIDC Discovery 3; RFC 8414 2.
    """
    parts = _parse(issuer)
    if isinstance(parts, str):
        return parts
    if parts.query or parts.fragment:
        return "an issuer has neither query nor fragment"
    return _scheme_problem(parts, insecure_allow_http_loopback)


def endpoint_problem(url: str, *, insecure_allow_http_loopback: bool = False) -> str | None:
    """Return why `url` cannot be an endpoint, or None. A query is allowed.

    Spec: RFC 6749 3.1, 3.2.
    """
    parts = _parse(url)
    if isinstance(parts, str):
        return parts
    if parts.fragment:
        return "an endpoint has no fragment"
    return _scheme_problem(parts, insecure_allow_http_loopback)


def link_problem(url: str, *, insecure_allow_http_loopback: bool = False) -> str | None:
    """Return why `url` cannot be a link that people follow, or None. Query and fragment are allowed.

    Every scheme but https, and http to loopback under the switch, is refused: `javascript:` among them
    (P-03).
    """
    parts = _parse(url)
    return parts if isinstance(parts, str) else _scheme_problem(parts, insecure_allow_http_loopback)


def redirect_uri_problem(uri: str, *, allow_http_loopback: bool, native: bool = False) -> str | None:
    """Return why `uri` may not be registered as a redirect target, or None.

    Every scheme but https, and http to loopback under the switch, is refused: `javascript:` among them
    (P-03).

    Args:
        native: For an app on its user's device: http to the loopback addresses needs no switch, and a scheme
            of the app's own that begins with a domain name in reverse order (`com.example.app:/callback`) is
            allowed.

    Spec: RFC 6749 3.1.2; RFC 9700 4.1.3; RFC 8252 7.1, 7.3.
    """
    if native and _PRIVATE_USE.fullmatch(uri):
        return "the path has dot segments" if _DOT_SEGMENT.search(uri.partition("?")[0]) else None
    if native and _LOOPBACK_REDIRECT.fullmatch(uri):
        allow_http_loopback = True
    parts = _parse(uri)
    if isinstance(parts, str):
        return parts
    if parts.fragment:
        return "a redirect URI has no fragment"
    # A browser resolves these before it asks, so what is served would not be what was registered.
    if _DOT_SEGMENT.search(parts.path):
        return "the path has dot segments"
    return _scheme_problem(parts, allow_http_loopback)


def match_redirect_uri(registered: Iterable[str], presented: str) -> bool:
    """Whether `presented` is one of the registered URIs.

    Byte-equal; for an http URI on the loopback address the port alone may differ.

    Spec: RFC 9700 2.1; RFC 8252 7.3.
    """
    return any(uri == presented or _same_but_port(uri, presented) for uri in registered)


def is_loopback_url(url: str) -> bool:
    """Whether `url` leads to this machine by name or address."""
    parts = _parse(url)
    return not isinstance(parts, str) and is_loopback_host(parts.host)


class Origin(NamedTuple):
    """What a browser compares of two URLs."""

    scheme: str
    host: str
    port: int

    @property
    def text(self) -> str:
        """As a browser writes it. Spec: RFC 6454 6.2."""
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def origin(url: str) -> Origin | None:
    """Return the origin of an absolute http(s) URL; None for others.

    Spec: RFC 6454 4, 5.
    """
    match = _URL.fullmatch(url)
    authority = None if match is None else _AUTHORITY.fullmatch(match["authority"])
    if match is None or authority is None:
        return None
    scheme = match["scheme"]
    return Origin(scheme, authority["host"].lower(), int(authority["port"] or _DEFAULT_PORT[scheme]))


def with_query(url: str, values: dict[str, str]) -> str:
    """Return `url` with `values` added to the query it may have. `url` has no fragment."""
    separator = "" if not values or url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{separator}{urlencode(values)}"


def _same_but_port(registered: str, presented: str) -> bool:
    one, other = _LOOPBACK_REDIRECT.fullmatch(registered), _LOOPBACK_REDIRECT.fullmatch(presented)
    if one is None or other is None or not _LEGAL.fullmatch(presented):
        return False
    if one["origin"] != other["origin"] or one["rest"] != other["rest"]:
        return False
    return other["port"] is None or 0 < int(other["port"]) <= 65_535


def _parse(url: str) -> _Parts | str:
    """The parts of an absolute http(s) URL, or what is wrong with it: a grammar, no guessing."""
    if len(url) > _MAX_URL:
        return f"is longer than {_MAX_URL} characters"
    if not _LEGAL.fullmatch(url) or _BROKEN_ESCAPE.search(url):
        return "holds characters that no URL has; percent-encode them"
    match = _URL.fullmatch(url)
    if match is None:
        return "is not an absolute URL that starts with https://"
    if "@" in match["authority"]:
        return "carries user info"
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None or ".." in authority["host"] or not _host_is_sound(authority["host"]):
        return "has no valid host"
    if authority["port"] is not None and int(authority["port"]) > 65_535:
        return "has no valid port"
    return _Parts(
        match["scheme"], authority["host"], match["path"] or "", match["query"] or "", match["fragment"] or ""
    )


def _host_is_sound(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _scheme_problem(parts: _Parts, http_loopback: bool) -> str | None:
    if parts.scheme == "https":
        return None
    wrong = "has to start with https://"
    if not is_loopback_host(parts.host):
        return f"{wrong}; http is for localhost, 127.0.0.1 and [::1] only" if http_loopback else wrong
    return None if http_loopback else f"{wrong}; http on loopback needs the insecure switch"
