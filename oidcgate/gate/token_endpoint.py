"""What the gate asks of an IdP with its own credentials: to take a request, for tokens, for their end.

Each call is Authlib's; its answer is read strictly before Authlib reads it leniently. How the gate proves who
it is, is `client_authentication` next door; what answers have to hold is `oidcgate.protocol.token`.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlencode

import requests
from authlib.common.errors import AuthlibBaseError
from requests.auth import AuthBase

from oidcgate.gate.client_authentication import ClientAuthentication
from oidcgate.gate.discovery import Discovery, unavailable
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.net.fetch import Fetcher, FetchError
from oidcgate.protocol.authorization import provider_error
from oidcgate.protocol.client_auth import ClientAuthMethod
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.pushed_authorization import check_pushed_response
from oidcgate.protocol.token import (
    RefreshedTokens,
    Tokens,
    check_refresh_response,
    check_token_response,
)
from oidcgate.strict_json import NotStrictJSON, parse_object

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class TokenEndpoint:
    """Token and revocation endpoint of one IdP, for this client.

    Attributes:
        redirect_uri: the callback as it is registered there, byte for byte.
    """

    provider: ProviderSettings
    redirect_uri: str
    fetcher: Fetcher
    discovery: Discovery
    authentication: ClientAuthentication

    def redeem(self, code: str, verifier: str) -> Tokens:
        """The tokens for a code; to be called once for each, for the IdP takes it once.

        Raises:
            Refused: the IdP refused the code or us, or the answer is not what it has to be.
            ProviderUnavailable: it did not answer; whether the code was used up is in doubt.

        Spec: OIDC Core 3.1.3.1; RFC 7636 4.5.
        """
        metadata = self.discovery.metadata()
        session = self.authentication.session(metadata, self.redirect_uri)
        answers = _Answers(check_token_response)
        session.register_compliance_hook("access_token_response", answers.read)
        with _named(self.provider, "the token endpoint"):
            self.fetcher.mount(session).fetch_token(
                metadata.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                allow_redirects=False,
                body=urlencode(self.provider.token_parameters),
            )
        return answers.only()

    def push(self, parameters: Mapping[str, str]) -> str:
        """Hand an authorization request to the IdP; returns the `request_uri` that stands for it.

        Raises:
            Refused: it is not taken, or there is no such endpoint, or the answer is not what it has to be.
            ProviderUnavailable: it did not answer.

        Spec: RFC 9126 2.
        """
        metadata = self.discovery.metadata()
        endpoint = metadata.pushed_authorization_request_endpoint
        if endpoint is None:
            detail = "pushed_authorization_request_endpoint: missing, and requests are to be pushed"
            raise Refused(Reason.METADATA_INVALID, detail)
        session = self.fetcher.mount(self.authentication.session(metadata))
        fields = dict(parameters)
        if self.authentication.method(metadata) is not ClientAuthMethod.CLIENT_SECRET_BASIC:
            # Every other proof says it, too, and no parameter may be there twice.
            del fields["client_id"]
        answers = _Answers(check_pushed_response, (requests.codes.created, requests.codes.ok))
        with _named(self.provider, "the pushed authorization request endpoint"):
            response = session.post(
                endpoint,
                data=fields,
                headers={"Accept": "application/json"},
                auth=cast(AuthBase, session.client_auth(session.token_endpoint_auth_method)),
                allow_redirects=False,
            )
            answers.read(response)
        return answers.only()

    def refresh(self, refresh_token: str) -> RefreshedTokens:
        """New tokens for a refresh token, which many IdPs take once.

        Raises:
            Refused: PROVIDER_ERROR with `error` "invalid_grant": the token is good no more; another `error`:
                the IdP refused us; else the answer is not what it has to be.
            ProviderUnavailable: it did not answer; whether the token was used up is in doubt.

        Spec: RFC 6749 6; OIDC Core 12.
        """
        metadata = self.discovery.metadata()
        session = self.authentication.session(metadata)
        answers = _Answers(check_refresh_response)
        session.register_compliance_hook("refresh_token_response", answers.read)
        with _named(self.provider, "the token endpoint"):
            self.fetcher.mount(session).refresh_token(
                metadata.token_endpoint,
                refresh_token=refresh_token,
                allow_redirects=False,
                body=urlencode(self.provider.token_parameters),
            )
        return answers.only()

    def revoke(self, token: str, kind: str) -> bool:
        """Tell the IdP that a token is needed no more; False when it has no endpoint for that.

        Args:
            kind: "refresh_token" or "access_token".

        Raises:
            Refused: PROVIDER_ERROR: it says no.
            ProviderUnavailable: it did not answer.

        Spec: RFC 7009 2.
        """
        metadata = self.discovery.metadata()
        if metadata.revocation_endpoint is None:
            return False
        session = self.authentication.session(metadata)
        with _named(self.provider, "the revocation endpoint"):
            # The body of the answer says nothing, and may be anything.
            answer: requests.Response = self.fetcher.mount(session, json_only=False).revoke_token(  # type: ignore[no-untyped-call]
                metadata.revocation_endpoint, token=token, token_type_hint=kind, allow_redirects=False
            )
        if answer.status_code != requests.codes.ok:
            raise Refused(Reason.PROVIDER_ERROR, f"the revocation endpoint says {answer.status_code}")
        return True


class _Answers(Generic[T]):
    """Reads an answer strictly: no member twice, and nothing good with a status that is not."""

    def __init__(
        self, check: Callable[[Mapping[str, Any]], T], good: Collection[int] = (requests.codes.ok,)
    ) -> None:
        self._check = check
        self._good = good
        self._read: list[T] = []

    def read(self, response: requests.Response) -> requests.Response:
        """A hook of Authlib's session.

        Raises:
            Refused: the IdP refused the grant or us, or the answer is not what it has to be.
        """
        try:
            answer = parse_object(response.content)
        except NotStrictJSON as error:
            raise Refused(Reason.TOKEN_RESPONSE_MALFORMED, str(error)) from None
        if answer.get("error") is not None:
            raise provider_error(answer["error"])
        if response.status_code not in self._good:
            detail = f"status {response.status_code} without an error code"
            raise Refused(Reason.TOKEN_RESPONSE_MALFORMED, detail)
        self._read.append(self._check(answer))
        return response

    def only(self) -> T:
        """What was read in the one answer."""
        (tokens,) = self._read
        return tokens


@contextmanager
def _named(provider: ProviderSettings, what: str) -> Iterator[None]:
    """Let a call to the IdP fail in the two ways that its callers know."""
    try:
        yield
    except FetchError as error:
        raise unavailable(provider.expected_issuer, what, error) from error
    except (AuthlibBaseError, requests.RequestException, ValueError, TypeError) as error:
        # Authlib's own reading of the answer; its text may quote the answer, so only its kind is told.
        detail = f"the answer of {what} cannot be read ({type(error).__name__})"
        raise Refused(Reason.TOKEN_RESPONSE_MALFORMED, detail) from None
