"""Who the user is, and every name an identity travels under.

Here live `Identity`, the value an app reads, and the one list of header names by which any gate of this kind
tells an app who the user is. Every one of them is deleted from every request before anything is decided, so
that a client can never speak in the gate's name. What does *not* live here: who may pass
(`oidcgate.gate.policy`), how a request is classified (`oidcgate.web.facts`), and the writing of headers for
an upstream.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

import msgspec

__all__ = [
    "ACCESS_TOKEN_ENVIRON",
    "IDENTITY_ENVIRON",
    "Identity",
    "ReservedNames",
    "environ_key",
    "environ_text",
    "is_reserved",
    "normalise_name",
    "read_only",
]

#: Key of the WSGI environ (and of the ASGI scope) under which an app finds its `Identity`.
IDENTITY_ENVIRON: Final = "oidcgate.identity"
#: Where an app in the same process finds the person's access token, if it is given one.
ACCESS_TOKEN_ENVIRON: Final = "oidcgate.access_token"  # noqa: S105 (a key, no token)

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Identity(msgspec.Struct, frozen=True):
    """The signed-in person, as the gate vouches for them. Immutable.

    Attributes:
        user_name: the `userName` of the directory, in the directory's spelling.
        sub: the subject at the identity provider; unique only together with `issuer`.
        issuer: the issuer identifier of the identity provider.
        idp: the name under which the gate's configuration knows that provider.
        auth_time: when the person proved who they are (epoch seconds), if the provider said so.
        acr: the authentication context class, if the provider said so.
        amr: the authentication methods, in the provider's order.
        claims: the claims that the configuration asked to keep; read-only all the way down.
        display_name: a name for people to read, never a key.
        known: whether the directory knows an active user of this name. False only under rules that
            admit everybody who is signed in.
    """

    user_name: str
    sub: str
    issuer: str
    idp: str = ""
    auth_time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    claims: Mapping[str, Any] = _NOTHING
    display_name: str | None = None
    known: bool = True


def read_only(value: Any) -> Any:
    """`value` with every mapping in it made read-only and every list a tuple.

    One identity serves all requests of a remembered session: an app that could edit it would edit it for all.
    """
    if isinstance(value, Mapping):
        # Nearly all claims are text, and this is on the way of each session's first request.
        return MappingProxyType(
            {key: item if type(item) is str else read_only(item) for key, item in value.items()}
        )
    if isinstance(value, list | tuple):
        return tuple(read_only(item) for item in value)
    return value


def environ_text(text: str) -> str:
    """`text` as a WSGI environ carries it: its UTF-8 bytes, one character each. Spec: PEP 3333."""
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")


def environ_key(name: bytes) -> str:
    """The key of a WSGI environ under which an app finds a header. Spec: PEP 3333, RFC 3875 4.1.18."""
    return "HTTP_" + name.decode("latin-1").upper().replace("-", "_")


# Names compare after every byte outside A-Z 0-9 became "_", because servers, proxies and languages each merge
# another set of separators. One list for all presets: migrating from one must not open the names of another.
_RESERVED_NAMES: Final = frozenset(
    {
        # X-Forwarded-*: oauth2-proxy, in both its spellings of the access token
        "X_FORWARDED_USER",
        "X_FORWARDED_EMAIL",
        "X_FORWARDED_GROUPS",
        "X_FORWARDED_PREFERRED_USERNAME",
        "X_FORWARDED_ACCESS_TOKEN",
        # names by which an app is talked into another path, method or client than the one that was judged
        "PATH_INFO",
        "SCRIPT_NAME",
        "X_FORWARDED_PREFIX",
        "X_HTTP_METHOD",
        "X_HTTP_METHOD_OVERRIDE",
        "X_METHOD_OVERRIDE",
        "X_ENVOY_ORIGINAL_PATH",
        "X_ORIGINAL_URI",
        "X_ORIGINAL_URL",
        "X_REWRITE_URL",
        "X_SCRIPT_NAME",
        "X_FORWARDED_CLIENT_CERT",
        # AUTH_TYPE beside REMOTE_USER, as CGI programs look for it
        "AUTH_TYPE",
        "AUTH_USER",
        "GAP_AUTH",
    }
)
_RESERVED_PREFIXES: Final = (
    "CLIENT_CERT",  # RFC 9440, with Client-Cert-Chain
    "OIDCGATE_",
    "OIDC_",  # mod_auth_openidc: OIDC_CLAIM_*, OIDC_access_token, ...
    "REMOTE_",  # authelia: Remote-User, -Groups, -Name, -Email; and Remote-User of everyone else
    "SSL_CLIENT_",
    "X_AUTH_REQUEST_",  # oauth2-proxy for nginx's auth_request
    "X_OIDCGATE_",
    "X_REMOTE_",  # X-Remote-User, with -Group and -Extra-* as Kubernetes has them
    "X_SSL_CLIENT_",
    "X_WEBAUTH_",
)
_NOT_PLAIN = re.compile(r"[^A-Z0-9]", re.ASCII)


def normalise_name(name: str) -> str:
    """The form in which header names compare: ASCII upper case, anything outside A-Z 0-9 as `_`."""
    # Only ASCII is folded: str.upper() would turn "ı" and "ſ" into ASCII letters, and so make two names one.
    return _NOT_PLAIN.sub("_", name.translate(_ASCII_UPPER))


_ASCII_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def is_reserved(normalised: str) -> bool:
    """Whether a name (as `normalise_name` gives it) carries identity, or the path or method to believe."""
    return normalised in _RESERVED_NAMES or normalised.startswith(_RESERVED_PREFIXES)


# What servers themselves set under these keys can come from a header on a server that merges names loosely,
# and an identity established in front of the gate is not one the gate vouches for.
_SERVER_IDENTITY: Final = frozenset({"REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT"})
_OWN_KEYS: Final = "oidcgate."

# The everyday keys of a request, so that one set operation clears them all. Only a shortcut: a key that is
# not here is looked at one by one.
_PLAIN_KEYS: Final = frozenset(
    {
        *("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI"),
        *("CONTENT_TYPE", "CONTENT_LENGTH", "GATEWAY_INTERFACE"),
        *("REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT"),
        *("SERVER_PROTOCOL", "SERVER_SOFTWARE", "HTTPS"),
        *("wsgi.version", "wsgi.url_scheme", "wsgi.input", "wsgi.errors", "wsgi.multithread"),
        *(
            "wsgi.multiprocess",
            "wsgi.run_once",
            "wsgi.file_wrapper",
            "wsgi.input_terminated",
            "wsgi.early_hints",
        ),
        *("gunicorn.socket", "werkzeug.socket", "werkzeug.request", "werkzeug.server.shutdown"),
        *("HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING"),
        *("HTTP_CONNECTION", "HTTP_COOKIE", "HTTP_REFERER", "HTTP_ORIGIN", "HTTP_DNT", "HTTP_SEC_GPC"),
        *("HTTP_CACHE_CONTROL", "HTTP_PRAGMA", "HTTP_PRIORITY", "HTTP_TE", "HTTP_UPGRADE_INSECURE_REQUESTS"),
        *("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE", "HTTP_AUTHORIZATION"),
        *("HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST", "HTTP_SEC_FETCH_USER"),
        *("HTTP_SEC_CH_UA", "HTTP_SEC_CH_UA_MOBILE", "HTTP_SEC_CH_UA_PLATFORM", "HTTP_X_REQUESTED_WITH"),
        *("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT"),
        *("HTTP_X_REAL_IP", "HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_X_CSRFTOKEN", "HTTP_X_CSRF_TOKEN"),
    }
)
_PLAIN_HEADERS: Final = frozenset(
    key[5:].replace("_", "-").lower().encode() for key in _PLAIN_KEYS if key.startswith("HTTP_")
) | {b"content-type", b"content-length", b"upgrade"}
_REMEMBERED_NAME_LENGTH = 64
_NAME: Final = itemgetter(0)

Headers = list[tuple[bytes, bytes]]


class ReservedNames:
    """The names that no client can use, as one gate sees them.

    Besides the names of every preset these are the ones by which this gate itself tells an app who the user
    is. `strip_environ` and `strip_headers` are called first, on every branch: what is public, refused or
    broken is stripped like what is allowed.

    Spec: RFC 9700 4.13.
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        """Take in names of one's own.

        Args:
            own: header names that are reserved beside the common ones, in any spelling.
        """
        self._own = frozenset(map(normalise_name, own))
        self._plain_keys = frozenset(key for key in _PLAIN_KEYS if not self._condemns_key(key))
        self._plain_headers = frozenset(name for name in _PLAIN_HEADERS if not self._condemns_header(name))
        self._key = lru_cache(maxsize=4096)(self._condemns_key)
        self._header = lru_cache(maxsize=4096)(self._condemns_header)

    def strip_environ(self, environ: MutableMapping[str, Any]) -> None:
        """Delete every key of a WSGI environ that could tell an app who the user is.

        Names are compared in environ form, whatever the server's own treatment of `_` in header names.
        """
        if self._plain_keys.issuperset(environ):
            return
        for key in set(environ) - self._plain_keys:
            # A client that invents long names must not be able to fill the memory of the decision.
            if (self._key if len(key) <= _REMEMBERED_NAME_LENGTH else self._condemns_key)(key):
                del environ[key]

    def strip_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The headers of an ASGI scope without those that could tell an app who the user is.

        Always a list of its own: what a server appends later (trailers) is not in it.
        """
        kept = list(headers)
        if self._plain_headers.issuperset(map(_NAME, kept)):
            return kept
        gone = {
            name
            for name in set(map(_NAME, kept)) - self._plain_headers
            if (self._header if len(name) <= _REMEMBERED_NAME_LENGTH else self._condemns_header)(name)
        }
        return [pair for pair in kept if pair[0] not in gone] if gone else kept

    def _condemns_key(self, key: str) -> bool:
        if key[:5].upper() == "HTTP_":
            return self._condemns(normalise_name(key[5:]))
        return key in _SERVER_IDENTITY or key.startswith(_OWN_KEYS)

    def _condemns_header(self, name: bytes) -> bool:
        return self._condemns(normalise_name(name.decode("latin-1")))

    def _condemns(self, normalised: str) -> bool:
        return is_reserved(normalised) or normalised in self._own
