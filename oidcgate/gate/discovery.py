"""What an IdP says about itself: asked when needed, remembered, left alone for a while after a failure.

Lives here: when the discovery document is fetched, and the one error for an IdP that cannot be used now. What
the document has to say is `oidcgate.protocol.metadata`; who may call where is `oidcgate.net`.
"""

import threading
from collections.abc import Callable
from typing import Final

from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.net.fetch import Fetcher, FetchError, FetchFailure
from oidcgate.protocol.errors import Refused
from oidcgate.protocol.metadata import ProviderMetadata, check_provider_metadata

METADATA_TTL_SECONDS: Final = 3600
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_NO_PROVIDER: Final = frozenset({FetchFailure.NOT_JSON, FetchFailure.REDIRECT, FetchFailure.NOT_TLS})


class ProviderUnavailable(Exception):
    """The IdP cannot be used now; nobody is let in and nobody signed out because of it.

    Attributes:
        retry_after_seconds: when asking again makes sense.
        detail: for the log.
        answered: something did answer, and it is not the metadata of this issuer: waiting will not help.
        sent: whether what was to be said may have arrived there.
    """

    def __init__(
        self,
        issuer: str,
        detail: str,
        retry_after_seconds: int,
        *,
        answered: bool = False,
        sent: bool = True,
    ) -> None:
        super().__init__(f"{issuer}: {detail}")
        self.issuer = issuer
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.answered = answered
        self.sent = sent


def unavailable(issuer: str, what: str, error: FetchError) -> ProviderUnavailable:
    """The error for `what` of the IdP (such as "the token endpoint") that gave no answer to go on with."""
    timed_out = error.reason is FetchFailure.TIMEOUT
    detail = f"{what} {'did not answer in time' if timed_out else 'failed'}: {error}"
    return ProviderUnavailable(issuer, detail, 5, sent=error.sent)


class Discovery:
    """The IdP's metadata: fetched when first needed, remembered, and left alone for a while after a failure.

    One thread asks at a time. Metadata that grew old is kept when it cannot be renewed: endpoints that worked
    an hour ago are better than none. Nothing is asked at start, so that an IdP that is down takes no app down
    with it (G-17).
    """

    def __init__(
        self,
        provider: ProviderSettings,
        fetcher: Fetcher,
        clock: Callable[[], float],
        ttl_seconds: float = METADATA_TTL_SECONDS,
    ) -> None:
        self._provider = provider
        self._fetcher = fetcher
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._asking = threading.Lock()
        self._known: ProviderMetadata | None = None
        self._known_at = 0.0
        self._failures = 0
        self._pause_until = 0.0
        self._failure = ""
        self._answered = False

    def metadata(self) -> ProviderMetadata:
        """The checked metadata of exactly the configured issuer.

        Raises:
            ProviderUnavailable: there is none, and now is not the time to ask, or asking failed.
        """
        known = self._known
        if known is not None and self._clock() - self._known_at < self._ttl_seconds:
            return known
        # With something to go on with nobody waits for the one who asks.
        if known is not None and self._asking.locked():
            return known
        with self._asking:
            return self._renewed()

    def _renewed(self) -> ProviderMetadata:
        now = self._clock()
        # Another thread may have asked while this one waited.
        old = self._known is None or now - self._known_at >= self._ttl_seconds
        if old and now >= self._pause_until:
            self._ask()
        if self._known is None:
            wait = max(1, round(self._pause_until - self._clock()))
            issuer = self._provider.expected_issuer
            raise ProviderUnavailable(issuer, self._failure, wait, answered=self._answered, sent=False)
        return self._known

    def _ask(self) -> None:
        try:
            document = self._fetcher.get_json(self._provider.discovery_url).document
            metadata = check_provider_metadata(
                document,
                self._provider.expected_issuer,
                insecure_allow_http_loopback=self._provider.on_loopback,
            )
        except (FetchError, Refused) as error:
            self._failure = f"the discovery document cannot be used: {error}"
            if isinstance(error, FetchError) and error.reason is FetchFailure.CONNECTION and not error.sent:
                self._failure += "; see that it runs and that the address is right"
            self._answered = _has_answered(error)
            self._failures += 1
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 6))
            self._pause_until = self._clock() + pause
            return
        self._known, self._known_at, self._failures = metadata, self._clock(), 0


def _has_answered(error: FetchError | Refused) -> bool:
    """Whether somebody is there who serves no such document; what breaks off or says 5xx is an outage."""
    if isinstance(error, Refused):
        return True
    refused = error.status is not None and 400 <= error.status < 500
    return refused or error.reason in _NO_PROVIDER
