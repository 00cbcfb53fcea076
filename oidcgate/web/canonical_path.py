"""The one form of a path that is judged, and the return targets that stay at home. Pure.

Here live `canonical_path` (what a WSGI app will see, or a named refusal), `check_raw_target` (the form on the
wire must decode to it) and `safe_return_path` (where a login or logout may lead back to). What rule a path
falls under is the subject of `oidcgate.gate.policy`; reading the path out of a request that of
`oidcgate.web.facts`.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

__all__ = [
    "BadPath",
    "PathFault",
    "canonical_path",
    "check_raw_target",
    "opaque_slashes",
    "path_of",
    "quote_path",
    "safe_return_path",
]


class PathFault(StrEnum):
    """Why a path has no canonical form."""

    NOT_ABSOLUTE = "path_not_absolute"
    NOT_UTF8 = "path_not_utf8"
    CONTROL_CHARACTER = "path_control_character"
    BACKSLASH = "path_backslash"
    EMPTY_SEGMENT = "path_empty_segment"
    DOT_SEGMENT = "path_dot_segment"
    ENCODED_DELIMITER = "path_encoded_delimiter"
    RAW_MISMATCH = "path_raw_mismatch"


class BadPath(ValueError):
    """The path means different things to different readers; `fault` says how. Answered with 400."""

    def __init__(self, fault: PathFault) -> None:
        self.fault = fault
        super().__init__(fault.value)


# One look for nearly all paths: plain ASCII segments, none of them empty, "." or "..", and no ";" or "%".
_PLAIN_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@ -]+)*/?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Still encoded after the server has decoded once: whoever decodes again reads another path than was judged.
_ENCODED_TWICE = re.compile(r"%(?:2e|2f|5c|00)", re.IGNORECASE)
_ENCODED_DELIMITER = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)
_ENCODED_NO_SLASH = re.compile(r"%(?:5c|00)", re.IGNORECASE)
_ENCODED_SLASH = re.compile(r"%2f", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# RFC 3986 pchar and "/", as `quote` wants to hear of it.
_PATH_SAFE: Final = "/!$&'()*+,;=:@~"


def canonical_path(decoded: str) -> str:
    """The path as text, in the one form that every reader understands alike.

    Args:
        decoded: the path of a WSGI environ: percent-decoded once, its bytes as latin-1 characters.

    Returns:
        The same path as text. Nothing is repaired: a path that would have to be is refused, because the app
        would not see the repaired one.

    Raises:
        BadPath: it is not absolute or not UTF-8, has a control character, a backslash, an empty or a dot
            segment (also in the spelling `..;x`), or still holds an encoded slash, backslash, dot or NUL.
    """
    if decoded and _PLAIN_PATH.fullmatch(decoded):
        return decoded
    if not decoded.startswith("/"):
        raise BadPath(PathFault.NOT_ABSOLUTE)
    try:
        path = decoded.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise BadPath(PathFault.NOT_UTF8) from None
    if _CONTROL.search(path):
        raise BadPath(PathFault.CONTROL_CHARACTER)
    if "\\" in path:
        raise BadPath(PathFault.BACKSLASH)
    if _ENCODED_TWICE.search(path):
        raise BadPath(PathFault.ENCODED_DELIMITER)
    _check_segments(path)
    return path


def _check_segments(path: str) -> None:
    segments = path[1:].split("/")
    for position, segment in enumerate(segments):
        # Servlet containers cut ";..." off before they resolve dots, so the name is what stands before it.
        name = segment.partition(";")[0]
        if name in (".", ".."):
            raise BadPath(PathFault.DOT_SEGMENT)
        # Only the last segment may be empty: that is the trailing slash.
        if not name and (segment or position < len(segments) - 1):
            raise BadPath(PathFault.EMPTY_SEGMENT)


def check_raw_target(raw: str, decoded: str, *, insecure_encoded_slash: bool = False) -> None:
    """Make sure that the target on the wire decodes to the path that is judged.

    Apps and middlewares exist that read the raw form instead; a server told by a header to move part of the
    path elsewhere would also go unnoticed.

    Args:
        raw: the request target as received (`RAW_URI`, `REQUEST_URI`), query included.
        decoded: SCRIPT_NAME + PATH_INFO, latin-1 characters as in the environ.
        insecure_encoded_slash: let `%2F` stand: whoever asks judges both readings (`opaque_slashes`).

    Raises:
        BadPath: it is in absolute or asterisk form, holds an encoded slash, backslash or NUL or a broken
            escape, or decodes to something else.
    """
    path = raw.partition("?")[0]
    if path == decoded and "%" not in path:
        return
    if not path.startswith("/"):
        raise BadPath(PathFault.NOT_ABSOLUTE)
    if (_ENCODED_NO_SLASH if insecure_encoded_slash else _ENCODED_DELIMITER).search(path):
        raise BadPath(PathFault.ENCODED_DELIMITER)
    try:
        bytes_of_raw = path.encode("latin-1")
    except UnicodeEncodeError:
        raise BadPath(PathFault.NOT_UTF8) from None
    if _BAD_ESCAPE.search(path) or unquote_to_bytes(bytes_of_raw).decode("latin-1") != decoded:
        raise BadPath(PathFault.RAW_MISMATCH)


def opaque_slashes(raw: str) -> str | None:
    """The path as a reader sees it to whom an encoded slash is part of a name and not between names.

    Args:
        raw: a path on the wire that `check_raw_target` let pass and whose decoded form is canonical.

    Returns:
        Text with `%2F` where one stands; None when there is none, and so one reading only.
    """
    parts = _ENCODED_SLASH.split(raw)
    if len(parts) == 1:
        return None
    return "%2F".join(unquote_to_bytes(part.encode("latin-1")).decode("utf-8") for part in parts)


def quote_path(path: str) -> str:
    """A canonical path as it is written into a URL."""
    return quote(path, safe=_PATH_SAFE)


def path_of(return_path: str) -> str:
    """The canonical path that a request for `return_path` is judged by.

    Args:
        return_path: as `safe_return_path` gave it.
    """
    return canonical_path(unquote_to_bytes(urlsplit(return_path).path).decode("latin-1"))


_RETURN_LIMIT: Final = 2048
# An escape of a character that stands for itself (RFC 3986 2.3). No browser writes one, and a caller that
# looks how a target begins would not recognise `/%2eoidcgate/`.
_NEEDLESS_ESCAPE = re.compile(r"%(?:2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)", re.IGNORECASE)
# What RFC 3986 lets stand in a URL, less what browsers read differently ("\\", quotes, brackets).
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?#%-]*", re.ASCII)


def safe_return_path(target: str, origins: Iterable[str]) -> str | None:
    """Where a login or logout may lead back to: a path on one of our own origins, or None.

    The target is parsed, rebuilt and compared, never searched for known attacks: what does not come back as
    it went in is refused. Invariant: a browser on any of `origins` that follows the result stays on that
    origin.

    Args:
        target: a path with query and fragment, or the same behind one of `origins`. Never trusted.
        origins: own origins as a browser writes them (`https://app.example.com`), exact.

    Returns:
        Path, query and fragment only, so that the caller's own origin is the only one it can be followed on.
    """
    if len(target) > _RETURN_LIMIT or not _URL_CHARACTERS.fullmatch(target):
        return None
    if not target.startswith("/"):
        rests = [target[len(origin) :] for origin in origins if target.startswith(origin)]
        target = next((rest or "/" for rest in rests if rest[:1] in ("", "/")), "")
        if not target:
            return None
    # The origin is a stand-in: any would do to see whether the target can push itself into the authority.
    parts = urlsplit("https://origin.invalid" + target)
    if parts.netloc != "origin.invalid" or urlunsplit(parts) != "https://origin.invalid" + target:
        return None
    raw = parts.path
    if _NEEDLESS_ESCAPE.search(raw):
        return None
    decoded = unquote_to_bytes(raw).decode("latin-1")
    try:
        check_raw_target(raw, decoded)
        canonical_path(decoded)
    except BadPath:
        return None
    return target
