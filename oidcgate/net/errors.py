"""What can go wrong with a call that leaves this process: one error, one reason each.

Raised by everything in `oidcgate.net`; offered to callers by `oidcgate.net.fetch`.
"""

from enum import StrEnum
from urllib.parse import urlsplit


class FetchFailure(StrEnum):
    """Why a call gave no usable answer."""

    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    REFUSED_URL = "refused_url"
    REFUSED_ADDRESS = "refused_address"
    TLS = "tls"
    NOT_TLS = "not_tls"
    CONNECTION = "connection"
    REDIRECT = "redirect"
    STATUS = "status"
    NOT_JSON = "not_json"


class FetchError(Exception):
    """A call that gave no usable answer.

    Attributes:
        reason: Which of the known failures it was.
        url_without_query: Where the call went. Queries and user info are left out: they may carry secrets.
        detail: What was seen, for the log.
        status: The HTTP status, when there was one.
        sent: Whether the request may have arrived. False only where no connection came about.
    """

    def __init__(
        self,
        reason: FetchFailure,
        url: str | bytes | None,
        detail: str,
        *,
        status: int | None = None,
        sent: bool = True,
    ) -> None:
        self.reason = reason
        self.url_without_query = _without_secrets(url)
        self.detail = detail
        self.status = status
        self.sent = sent
        super().__init__(f"{reason}: {self.url_without_query}: {detail}")


def _without_secrets(url: str | bytes | None) -> str:
    text = url.decode("utf-8", "replace") if isinstance(url, bytes) else url or ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "(unreadable URL)"
    # Whoever only connects knows no scheme: //HOST:PORT.
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{parts.netloc.rpartition('@')[2]}{parts.path}"[:500]
