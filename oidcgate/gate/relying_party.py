"""The relying party of one identity provider: discovery, code redemption, userinfo, and what they prove.

Lives here: when the IdP is asked, how a failing IdP is left alone for a while, and the order of the checks.
The checks themselves are pure (`oidcgate.protocol`); who may call where is `oidcgate.net`. Not here:
browsers, cookies and the directory (`login` and `logout` next door).
"""

import base64
import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.transaction import Transaction
from oidcgate.jose.remote import KeysUnavailable, RemoteKeySet
from oidcgate.net.fetch import Fetcher, FetchError, FetchFailure
from oidcgate.protocol.authorization import (
    AuthorizationRequest,
    build_authorization_url,
    check_authorization_response,
)
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.id_token import IdTokenClaims, IdTokenRules, id_token_kid, verify_id_token
from oidcgate.protocol.metadata import ProviderMetadata, check_provider_metadata
from oidcgate.protocol.pkce import s256_challenge
from oidcgate.protocol.token import Tokens, check_token_response
from oidcgate.protocol.userinfo import check_userinfo
from oidcgate.strict_json import NotStrictJSON, parse_object

METADATA_TTL_SECONDS: Final = 3600
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0


class ProviderUnavailable(Exception):
    """The IdP cannot be used now; nobody is let in and nobody signed out because of it.

    Attributes:
        retry_after_seconds: when asking again makes sense.
        detail: for the log.
        answered: something did answer, and it is not the metadata of this issuer: waiting will not help.
    """

    def __init__(self, issuer: str, detail: str, retry_after_seconds: int, *, answered: bool = False) -> None:
        super().__init__(f"{issuer}: {detail}")
        self.issuer = issuer
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.answered = answered


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
            raise ProviderUnavailable(issuer, self._failure, wait, answered=self._answered)
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
    return refused or error.reason in (FetchFailure.NOT_JSON, FetchFailure.REDIRECT)


@dataclasses.dataclass(frozen=True)
class SignedIn:
    """What the IdP proved about the person who came back.

    Attributes:
        user_name: the value of the claim that names the directory's user.
        claims: those of the ID token, and of userinfo where it was asked; on conflict the ID token's, which
            are signed.
        id_token: the checked token's claims that make the session.
        raw_id_token: for `id_token_hint` at logout.
    """

    user_name: str
    claims: Mapping[str, Any]
    id_token: IdTokenClaims
    raw_id_token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class RelyingParty:
    """This gate as a client of one IdP.

    Attributes:
        redirect_uri: the callback as it is registered there, byte for byte.
        user_claim: the claim that names the directory's user.
    """

    provider: ProviderSettings
    redirect_uri: str
    user_claim: str
    fetcher: Fetcher
    discovery: Discovery
    keys: RemoteKeySet

    @classmethod
    def of(
        cls,
        provider: ProviderSettings,
        *,
        redirect_uri: str,
        user_claim: str,
        fetcher: Fetcher,
        clock: Callable[[], float],
    ) -> "RelyingParty":
        """Put the parts of one IdP together; asks nobody."""
        discovery = Discovery(provider, fetcher, clock)

        def key_set() -> Mapping[str, Any]:
            return fetcher.get_json(discovery.metadata().jwks_uri).document

        return cls(provider, redirect_uri, user_claim, fetcher, discovery, RemoteKeySet(key_set, clock))

    def authorization_url(
        self, transaction: Transaction, *, prompt: tuple[str, ...] = (), login_hint: str | None = None
    ) -> str:
        """Where to send the browser for the attempt `transaction`.

        Raises:
            ProviderUnavailable: the IdP's endpoints are not known.

        Spec: OIDC Core 3.1.2.1; RFC 7636 4.3.
        """
        return build_authorization_url(
            self.discovery.metadata().authorization_endpoint,
            AuthorizationRequest(
                client_id=self.provider.client_id,
                redirect_uri=self.redirect_uri,
                response_type="code",
                scope=self.provider.scopes,
                state=transaction.state,
                nonce=transaction.nonce,
                code_challenge=s256_challenge(transaction.verifier),
                code_challenge_method="S256",
                response_mode=None if self.provider.response_mode == "query" else self.provider.response_mode,
                prompt=prompt,
                max_age=transaction.max_age_seconds,
                login_hint=login_hint,
                acr_values=transaction.acr_values,
            ),
        )

    def code(self, pairs: Iterable[tuple[str, str]], transaction: Transaction) -> str:
        """The code of an authorization response that belongs to `transaction`; nothing is redeemed yet.

        Raises:
            Refused: for the first thing wrong, `provider_error` when the IdP said no.
            ProviderUnavailable: whether the IdP puts `iss` into its answers is not known.

        Spec: OIDC Core 3.1.2.7; RFC 9207 2.4.
        """
        return check_authorization_response(
            pairs,
            expected_state=transaction.state,
            issuer=self.provider.expected_issuer,
            iss_parameter_supported=self.discovery.metadata().iss_parameter_supported,
        )

    def complete(self, code: str, transaction: Transaction, now: int) -> SignedIn:
        """Redeem `code` and check everything about what it gives. To be called once, after `code()` gave it.

        Raises:
            Refused: for the first thing wrong.
            ProviderUnavailable: an endpoint did not answer; whether the code was used up is in doubt.

        Spec: OIDC Core 3.1.3, 5.3.
        """
        metadata = self.discovery.metadata()
        tokens = self._redeem(code, transaction, metadata)
        id_token = self._checked(tokens, transaction, metadata, now)
        claims: dict[str, Any] = dict(id_token.all)
        if self.provider.get_user_info or not claims.get(self.user_claim):
            claims = {**self._user_info(tokens, id_token.sub, metadata), **_present(claims)}
        name = claims.get(self.user_claim)
        if not isinstance(name, str) or not name:
            raise Refused(Reason.USERNAME_MISSING, f"neither ID token nor userinfo has {self.user_claim}")
        return SignedIn(name, claims, id_token, tokens.id_token)

    def _redeem(self, code: str, transaction: Transaction, metadata: ProviderMetadata) -> Tokens:
        secret = self.provider.client_secret
        session = OAuth2Session(
            client_id=self.provider.client_id,
            client_secret=None if secret is None else secret.reveal(),
            token_endpoint_auth_method=self._auth_method(metadata),
            redirect_uri=self.redirect_uri,
        )
        session.register_client_auth_method(("client_secret_basic", _client_secret_basic))
        answers: list[Tokens] = []
        session.register_compliance_hook("access_token_response", lambda answer: _judged(answer, answers))
        try:
            self.fetcher.mount(session).fetch_token(
                metadata.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=transaction.verifier,
                allow_redirects=False,
            )
        except FetchError as error:
            raise self._failed("the token endpoint", error) from error
        except (AuthlibBaseError, requests.RequestException, ValueError, TypeError) as error:
            # Authlib's own reading of the answer; its text may quote the answer, so only its kind is told.
            detail = f"the token response cannot be read ({type(error).__name__})"
            raise Refused(Reason.TOKEN_RESPONSE_MALFORMED, detail) from None
        return answers[0]

    def _checked(
        self, tokens: Tokens, transaction: Transaction, metadata: ProviderMetadata, now: int
    ) -> IdTokenClaims:
        announced = metadata.id_token_signing_alg_values_supported
        rules = IdTokenRules(
            issuer=self.provider.expected_issuer,
            client_id=self.provider.client_id,
            algorithms=tuple(alg for alg in self.provider.id_token_algorithms if alg in announced),
            nonce=transaction.nonce,
            max_age=transaction.max_age_seconds,
            clock_skew_seconds=self.provider.clock_skew_seconds,
            access_token=tokens.access_token,
        )
        kid = id_token_kid(tokens.id_token)
        try:
            keys = self.keys.keys_for(kid)
        except KeysUnavailable as error:
            cause = error.__cause__ or error
            raise ProviderUnavailable(rules.issuer, f"its keys cannot be fetched: {cause}", 30) from error
        claims = verify_id_token(tokens.id_token, keys, rules, now)
        if transaction.acr_values and claims.acr not in transaction.acr_values:
            # acr_values is a wish to the IdP; to us, who asked because a rule demands it, it is a condition.
            raise Refused(Reason.ID_TOKEN_ACR, "the sign-in was not of the strength that was asked for")
        return claims

    def _user_info(self, tokens: Tokens, sub: str, metadata: ProviderMetadata) -> Mapping[str, Any]:
        if metadata.userinfo_endpoint is None:
            if self.provider.get_user_info:
                raise Refused(
                    Reason.METADATA_INVALID, "get_user_info is set and the IdP has no userinfo endpoint"
                )
            return {}
        try:
            document = self.fetcher.get_json(
                metadata.userinfo_endpoint, headers={"Authorization": f"Bearer {tokens.access_token}"}
            ).document
        except FetchError as error:
            raise self._failed("the userinfo endpoint", error) from error
        return check_userinfo(document, sub)

    def _auth_method(self, metadata: ProviderMetadata) -> str:
        if self.provider.token_endpoint_auth_method is not None:
            return self.provider.token_endpoint_auth_method
        offered = metadata.token_endpoint_auth_methods_supported
        if "client_secret_basic" not in offered and "client_secret_post" in offered:
            return "client_secret_post"
        return "client_secret_basic"

    def _failed(self, what: str, error: FetchError) -> ProviderUnavailable:
        timed_out = error.reason is FetchFailure.TIMEOUT
        detail = f"{what} {'did not answer in time' if timed_out else 'failed'}: {error}"
        return ProviderUnavailable(self.provider.expected_issuer, detail, 5)


def _present(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Claims that say something: an empty one in the ID token must not hide userinfo's."""
    return {name: value for name, value in claims.items() if value not in (None, "")}


def _judged(response: requests.Response, answers: list[Tokens]) -> requests.Response:
    """Read the token response strictly, before Authlib reads it leniently.

    No member twice, and tokens only with status 200.

    Raises:
        Refused: the IdP refused the code or us, or the answer is not what it has to be.
    """
    try:
        answer = parse_object(response.content)
    except NotStrictJSON as error:
        raise Refused(Reason.TOKEN_RESPONSE_MALFORMED, str(error)) from None
    if response.status_code != requests.codes.ok and answer.get("error") is None:
        raise Refused(Reason.TOKEN_RESPONSE_MALFORMED, f"status {response.status_code} without an error code")
    answers.append(check_token_response(answer))
    return response


def _client_secret_basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """HTTP Basic with both halves form-encoded.

    Authlib's own leaves that out, which breaks on `:`, `%` and `+`.

    Spec: RFC 6749 2.3.1.
    """
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body
