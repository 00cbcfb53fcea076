"""Calls to other servers that end in time, stay small and go only where they may (P-09).

`Fetcher` is what the rest uses: JSON, anything or the head alone by GET, forms by POST, or the guard on a
session of Authlib. `GuardedAdapter` holds the promises that do not depend on how the bytes travel;
`oidcgate.net.dial` carries them over sockets, `oidcgate.net.wsgi` to an app in this process. What the
documents mean is `oidcgate.protocol`.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError, LocationValueError

from oidcgate.net.addresses import AddressRules
from oidcgate.net.dial import Deadline, Dialler, DirectTransport, Resolver, system_resolver
from oidcgate.net.errors import FetchError, FetchFailure
from oidcgate.strict_json import NotStrictJSON, parse_object

__all__ = [
    "AddressRules",
    "FetchError",
    "FetchFailure",
    "FetchedContent",
    "FetchedJSON",
    "Fetcher",
    "GuardedAdapter",
    "Head",
]

S = TypeVar("S", bound=requests.Session)

_CHUNK: Final = 65_536
# An answer of which only the status counts is read for the sake of its connection, if that is little work.
_SHORT: Final = 1024
#: How OpenSSL, by its version, names an answer that is no TLS: to its eyes, a record of a strange version.
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "wrong version number")


class FetchedJSON(NamedTuple):
    """An answer with status 200 that was a JSON object."""

    status: int
    headers: Mapping[str, str]
    document: dict[str, Any]


class FetchedContent(NamedTuple):
    """An answer with status 200.

    Attributes:
        content_type: In lower case, without parameters; empty when the answer says none.
    """

    content_type: str
    content: bytes


class GuardedAdapter(BaseAdapter):
    """A requests adapter that refuses what a session must never see.

    Whoever uses the session gets an answer that came from an allowed URL, within the deadline, read whole and
    below the cap, with status 2xx or 4xx, and whose body is empty or, with `json_only`, one unambiguous JSON
    object. All else is a `FetchError`: Authlib reads bodies with `json.loads`, which falls over a deeply
    nested one. `verify`, `cert`, `proxies` and `timeout` of the session are not consulted.

    Args:
        rules: Which URLs are allowed.
        transport: Carries the request.
        deadline: Started here for each call; the transport's sockets watch it.
        total_seconds: How long a call may last, from name resolution to the last byte.
        max_bytes: How long a body may be after decompression.
        json_only: Whether a body has to be JSON.
    """

    def __init__(
        self,
        rules: AddressRules,
        transport: BaseAdapter,
        deadline: Deadline,
        *,
        total_seconds: float,
        max_bytes: int,
        json_only: bool = True,
    ) -> None:
        super().__init__()
        self._rules = rules
        self._transport = transport
        self._deadline = deadline
        self._total_seconds = total_seconds
        self._max_bytes = max_bytes
        self._json_only = json_only

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send the request and return the answer with its body read.

        Raises:
            FetchError: See the class.
        """
        url = request.url or ""
        problem = self._rules.url_problem(url)
        if problem is not None:
            raise FetchError(FetchFailure.REFUSED_URL, url, problem, sent=False)
        self._deadline.start(self._total_seconds)
        response: requests.Response | None = None
        try:
            response = self._transport.send(request, stream=True, timeout=self._total_seconds, proxies={})
            self._accept(url, response)
        except FetchError as error:
            _discard(response)
            # The dialler knows host and port only.
            raise FetchError(error.reason, url, error.detail, status=error.status, sent=error.sent) from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            _discard(response)
            # Not chained: the messages of requests quote the URL with its query, and a traceback prints them.
            raise self._named(url, error) from None
        except BaseException:
            _discard(response)
            raise
        return response

    def _accept(self, url: str, response: requests.Response) -> None:
        _refuse_status(url, response)
        self._read(url, response)
        if self._json_only:
            _refuse_ambiguous(url, response)

    def close(self) -> None:
        """Do nothing: the connections belong to the `Fetcher`, a session that ends leaves them open."""

    def _read(self, url: str, response: requests.Response) -> None:
        body = bytearray()
        while chunk := response.raw.read(min(_CHUNK, self._max_bytes + 1 - len(body)), decode_content=True):
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchError(
                    FetchFailure.TOO_LARGE,
                    url,
                    f"the answer is longer than {self._max_bytes} bytes",
                    status=response.status_code,
                )
        # What iter_content would leave behind, had requests read the body itself.
        response._content = bytes(body)
        response._content_consumed = True  # type: ignore[attr-defined]  # set by requests, unknown to its types

    def _named(self, url: str, error: Exception) -> FetchError:
        # All waiting ends at one deadline, so an error after it is that deadline, whatever urllib3 made of
        # it.
        if isinstance(error, requests.Timeout) or time.monotonic() >= self._deadline.at:
            return FetchError(
                FetchFailure.TIMEOUT, url, f"no complete answer within {self._total_seconds:g} seconds"
            )
        if isinstance(error, requests.exceptions.SSLError):
            seen = _innermost(error)
            if any(code in seen for code in _NOT_TLS):
                return FetchError(FetchFailure.NOT_TLS, url, "that port speaks http, so the scheme is wrong")
            return FetchError(FetchFailure.TLS, url, seen)
        return FetchError(FetchFailure.CONNECTION, url, _innermost(error))


class _StatusAdapter(GuardedAdapter):
    """The same guard where nothing but the status of an answer counts, whichever it is but a redirect.

    It counts as soon as it is there: however long or broken the rest may be.
    """

    def _accept(self, url: str, response: requests.Response) -> None:
        if 300 <= response.status_code < 400:
            _refuse_status(url, response)
        length = response.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) <= _SHORT:
            # Read to its end, a connection is free for the next call.
            with suppress(FetchError, requests.RequestException, HTTPError, OSError, ValueError):
                self._read(url, response)
                return
        _leave_unread(response)


class _HeadAdapter(GuardedAdapter):
    """The same guard where the head of an answer is what is wanted, a redirect's too."""

    def _accept(self, url: str, response: requests.Response) -> None:
        _leave_unread(response)


class Head(NamedTuple):
    """The head of an answer.

    Attributes:
        status: of any kind; a redirect was not followed.
        location: where it leads; "" when it says nothing.
        cookies: the values of its `Set-Cookie` fields.
    """

    status: int
    location: str
    cookies: tuple[str, ...]


class Fetcher:
    """Asks other servers under one set of rules. Safe to share between threads.

    Args:
        rules: Where calls may go.
        total_seconds: How long a call may last, from name resolution to the last byte.
        max_bytes: How long an answer may be after decompression.
        adapter: Carries requests in place of sockets, for an app in this process. Addresses are not looked up
            then.
        ca_file: Certificates to trust in place of the public ones.
        resolver: Where addresses come from.
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        total_seconds: float = 10,
        max_bytes: int = 1_000_000,
        adapter: BaseAdapter | None = None,
        ca_file: str | Path | None = None,
        resolver: Resolver = system_resolver,
    ) -> None:
        deadline = Deadline()
        transport = adapter or DirectTransport(Dialler(rules, deadline, resolver), ca_file)
        self._transport = transport
        guarded = partial(
            GuardedAdapter, rules, transport, deadline, total_seconds=total_seconds, max_bytes=max_bytes
        )
        self._adapter = guarded()
        self._session = self.mount(requests.Session())
        self._any_adapter = guarded(json_only=False)
        self._any_content = _mounted(requests.Session(), self._any_adapter)
        self._statuses = _StatusAdapter(
            rules, transport, deadline, total_seconds=total_seconds, max_bytes=max_bytes
        )
        self._heads = _HeadAdapter(
            rules, transport, deadline, total_seconds=total_seconds, max_bytes=max_bytes
        )

    def get_json(self, url: str, headers: Mapping[str, str] | None = None) -> FetchedJSON:
        """Return the JSON object at `url`.

        Args:
            url: Absolute URL.
            headers: Sent besides `Accept`.

        Raises:
            FetchError: There is none, for the reason it names; STATUS for every status but 200.
        """
        response = _got(self._session, url, {"Accept": "application/json", **(headers or {})})
        try:
            document = parse_object(response.content)
        except NotStrictJSON as error:
            raise FetchError(FetchFailure.NOT_JSON, url, str(error), status=response.status_code) from None
        return FetchedJSON(response.status_code, response.headers, document)

    def get_content(self, url: str, accept: str) -> bytes:
        """Return what is at `url`, whatever it is.

        Args:
            url: Absolute URL.
            accept: What is asked for; what comes is not held to it.

        Raises:
            FetchError: There is none, for the reason it names; STATUS for every status but 200.
        """
        return self.get_any(url, {"Accept": accept}).content

    def get_any(self, url: str, headers: Mapping[str, str]) -> FetchedContent:
        """Return what is at `url`, and what it says that it is.

        Args:
            url: Absolute URL.
            headers: What is sent.

        Raises:
            FetchError: There is none, for the reason it names; STATUS for every status but 200.
        """
        response = _got(self._any_content, url, headers)
        named = response.headers.get("Content-Type", "").partition(";")[0]
        return FetchedContent(named.strip().lower(), response.content)

    def post_form(self, url: str, fields: Mapping[str, str]) -> int:
        """Post a form and return the status of the answer. The answer itself is not read.

        Args:
            url: Absolute URL.

        Raises:
            FetchError: There is none, or it is a redirect.
        """
        try:
            request = requests.Request("POST", url, data=dict(fields)).prepare()
        except (requests.RequestException, ValueError) as error:
            raise FetchError(FetchFailure.REFUSED_URL, url, type(error).__name__, sent=False) from None
        return self._statuses.send(request).status_code

    def get_head(self, url: str, headers: Mapping[str, str]) -> Head:
        """Return status and some fields of the answer at `url`, which is not read further.

        Args:
            url: Absolute URL.
            headers: Sent as they are.

        Raises:
            FetchError: There is none.
        """
        try:
            request = requests.Request("GET", url, headers=dict(headers)).prepare()
        except (requests.RequestException, ValueError) as error:
            raise FetchError(FetchFailure.REFUSED_URL, url, type(error).__name__) from None
        response = self._heads.send(request)
        # requests joins fields of one name with a comma, which stands in the dates of cookies too.
        cookies = tuple(response.raw.headers.getlist("Set-Cookie"))
        return Head(response.status_code, response.headers.get("Location", ""), cookies)

    def mount(self, session: S, *, json_only: bool = True) -> S:
        """Put the guard on `session` (Authlib's `OAuth2Session`) and return it.

        With `json_only` an answer that is neither empty nor one JSON object is a `FetchError`. The session no
        longer reads proxies, certificates and passwords from the environment, and keeps no cookies. Every
        call may raise `FetchError` besides what it raises anyway.
        """
        return _mounted(session, self._adapter if json_only else self._any_adapter)

    def close(self) -> None:
        """Close pooled connections."""
        self._transport.close()


def _mounted(session: S, adapter: GuardedAdapter) -> S:
    session.trust_env = False
    session.proxies.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.adapters.clear()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _got(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    try:
        response = session.get(url, headers=dict(headers), allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        # The adapter names its errors itself: this one came while the request was prepared, nothing was sent.
        raise FetchError(FetchFailure.REFUSED_URL, url, type(error).__name__, sent=False) from None
    if response.status_code != requests.codes.ok:
        raise FetchError(
            FetchFailure.STATUS, url, f"status {response.status_code}", status=response.status_code
        )
    return response


def _refuse_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if 300 <= status < 400:
        # Followed, it would lead past the rules; and no endpoint we call has a reason to send one.
        raise FetchError(
            FetchFailure.REDIRECT, url, f"status {status}: redirects are not followed", status=status
        )
    if not (200 <= status < 300 or 400 <= status < 500):
        raise FetchError(FetchFailure.STATUS, url, f"status {status}", status=status)


def _refuse_ambiguous(url: str, response: requests.Response) -> None:
    if not response.content:
        return
    try:
        parse_object(response.content)
    except NotStrictJSON as error:
        status = response.status_code
        if status >= 400:
            # The page of a gateway or of a rate limit: its status says more than that it is no JSON.
            raise FetchError(FetchFailure.STATUS, url, f"status {status}", status=status) from None
        raise FetchError(FetchFailure.NOT_JSON, url, str(error), status=status) from None


def _leave_unread(response: requests.Response) -> None:
    _discard(response)
    response._content = b""
    response._content_consumed = True  # type: ignore[attr-defined]  # as in `GuardedAdapter._read`


def _discard(response: requests.Response | None) -> None:
    # Not given back to the pool: the rest of the answer is still on its way.
    if response is not None:
        response.raw.close()


def _innermost(error: BaseException) -> str:
    """The text of the error that started it; those around it quote the URL with its query."""
    for _ in range(8):
        inner = next(
            (
                cause
                for cause in (getattr(error, "reason", None), *error.args)
                if isinstance(cause, Exception)
            ),
            None,
        )
        if inner is None:
            break
        error = inner
    quotes_url = isinstance(error, requests.RequestException | LocationValueError)
    return type(error).__name__ if quotes_url else f"{type(error).__name__}: {error}"[:300]
