"""The relying party of one identity provider: the order in which it is asked, and what that proves.

Each place that is asked is next door: `discovery`, `token_endpoint`, `userinfo`; what the IdP signed is read
by `signed_tokens`. The checks themselves are pure (`oidcgate.protocol`). Not here: browsers, cookies and the
directory (`login` and `logout` next door).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oidcgate.gate.client_authentication import ClientAuthentication
from oidcgate.gate.config import callback_path
from oidcgate.gate.context import email_is_unverified, merged_claims
from oidcgate.gate.context_settings import EMAIL
from oidcgate.gate.discovery import Discovery
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.signed_tokens import SignedTokens
from oidcgate.gate.token_endpoint import TokenEndpoint
from oidcgate.gate.transaction import Transaction
from oidcgate.gate.userinfo import UserInfo
from oidcgate.jose.jwe import JWEError
from oidcgate.jose.remote import RemoteKeySet
from oidcgate.net.fetch import Fetcher
from oidcgate.protocol.authorization import (
    AuthorizationRequest,
    check_authorization_response,
    request_parameters,
)
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.id_token import IdTokenClaims, IdTokenRules, verify_id_token
from oidcgate.protocol.metadata import ProviderMetadata
from oidcgate.protocol.pkce import s256_challenge
from oidcgate.protocol.token import RefreshedTokens, Tokens
from oidcgate.protocol.urls import with_query


@dataclasses.dataclass(frozen=True)
class SignedIn:
    """What the IdP proved about the person who came back.

    Attributes:
        user_name: the value of the claim that names the directory's user.
        claims: those of the ID token, and of userinfo where it was asked; on conflict the ID token's, which
            are signed.
        id_token: the checked token's claims that make the session.
        tokens: what came, the ID token opened where it was encrypted.
    """

    user_name: str
    claims: Mapping[str, Any]
    id_token: IdTokenClaims
    tokens: Tokens


@dataclasses.dataclass(frozen=True)
class RelyingParty:
    """This gate as a client of one IdP.

    Attributes:
        redirect_uri: the callback as it is registered there, byte for byte.
        shares_callback: another IdP sends its answers there too. One that lies could have this one's come
            back to an attempt of its own, so each answer has to say whose it is.
        user_claim: the claim that names the directory's user.
    """

    provider: ProviderSettings
    redirect_uri: str
    shares_callback: bool
    user_claim: str
    discovery: Discovery
    signed_tokens: SignedTokens
    token_endpoint: TokenEndpoint
    userinfo: UserInfo

    @classmethod
    def of(
        cls,
        provider: ProviderSettings,
        *,
        redirect_uri: str,
        shares_callback: bool,
        user_claim: str,
        fetcher: Fetcher,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> "RelyingParty":
        """Put the parts of one IdP together; asks nobody."""
        discovery = Discovery(provider, fetcher, clock)

        def key_set() -> Mapping[str, Any]:
            return fetcher.get_json(discovery.metadata().jwks_uri).document

        signed_tokens = SignedTokens(provider, discovery, RemoteKeySet(key_set, clock))
        proof = ClientAuthentication(provider, clock, random_bytes)
        return cls(
            provider,
            redirect_uri,
            shares_callback,
            user_claim,
            discovery,
            signed_tokens,
            TokenEndpoint(provider, redirect_uri, fetcher, discovery, proof),
            UserInfo(provider, fetcher, discovery, signed_tokens),
        )

    def at(self, redirect_uri: str, *, shares_callback: bool) -> "RelyingParty":
        """The same client with its callback at another host; what it knows of the IdP is shared."""
        return dataclasses.replace(
            self,
            redirect_uri=redirect_uri,
            shares_callback=shares_callback,
            token_endpoint=dataclasses.replace(self.token_endpoint, redirect_uri=redirect_uri),
        )

    def authorization_url(
        self,
        transaction: Transaction,
        *,
        prompt: tuple[str, ...] = (),
        login_hint: str | None = None,
        id_token_hint: str | None = None,
    ) -> str:
        """Where to send the browser for the attempt `transaction`.

        Raises:
            ProviderUnavailable: the IdP's endpoints are not known, or the one for requests did not answer.
            Refused: the IdP does not take the request that was pushed to it.

        Spec: OIDC Core 3.1.2.1; RFC 7636 4.3; RFC 9126 4.
        """
        metadata = self.discovery.metadata()
        request = AuthorizationRequest(
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
            id_token_hint=id_token_hint,
            acr_values=transaction.acr_values,
        )
        parameters = {**self.provider.extra_parameters, **request_parameters(request)}
        if self._is_pushed(metadata):
            request_uri = self.token_endpoint.push(parameters)
            parameters = {"client_id": self.provider.client_id, "request_uri": request_uri}
        return with_query(metadata.authorization_endpoint, parameters)

    def _is_pushed(self, metadata: ProviderMetadata) -> bool:
        match self.provider.pushed_authorization_requests:
            case "always":
                return True
            case "demanded":
                return metadata.require_pushed_authorization_requests
        offered = metadata.pushed_authorization_request_endpoint is not None
        return offered or metadata.require_pushed_authorization_requests

    def code(self, pairs: Iterable[tuple[str, str]], transaction: Transaction, path: str) -> str:
        """The code of an authorization response that belongs to `transaction`; nothing is redeemed yet.

        Args:
            path: where it arrived.

        Raises:
            Refused: for the first thing wrong, `provider_error` when the IdP said no.
            ProviderUnavailable: whether the IdP puts `iss` into its answers is not known.

        Spec: OIDC Core 3.1.2.7; RFC 9207 2.4; RFC 9700 4.4.2.
        """
        # The routes are the same with a slash at their end.
        if path.removesuffix("/") != callback_path(self.provider):
            raise Refused(Reason.REDIRECT_URI, f"it arrived at {path}")
        return check_authorization_response(
            pairs,
            expected_state=transaction.state,
            issuer=self.provider.expected_issuer,
            iss_wanted=self.shares_callback or self.discovery.metadata().iss_parameter_supported,
        )

    def complete(self, code: str, transaction: Transaction, now: int) -> SignedIn:
        """Redeem `code` and check everything about what it gives. To be called once, after `code()` gave it.

        Raises:
            Refused: for the first thing wrong.
            ProviderUnavailable: an endpoint did not answer; whether the code was used up is in doubt.

        Spec: OIDC Core 3.1.3, 5.3.
        """
        tokens = self.token_endpoint.redeem(code, transaction.verifier)
        signed = self._opened(tokens.id_token)
        id_token = self._checked(signed, tokens.access_token, transaction, now)
        claims: dict[str, Any] = dict(id_token.all)
        if self.provider.get_user_info or not claims.get(self.user_claim):
            claims = merged_claims(claims, self.userinfo.claims(tokens.access_token, id_token.sub, now))
        name = claims.get(self.user_claim)
        if not isinstance(name, str) or not name:
            raise Refused(Reason.USERNAME_MISSING, f"neither ID token nor userinfo has {self.user_claim}")
        trusting = self.provider.insecure_unverified_email
        if self.user_claim == EMAIL and not trusting and email_is_unverified(claims):
            # Whoever may write any address into a profile there would be anybody here.
            raise Refused(
                Reason.EMAIL_UNVERIFIED, "the IdP has not verified the address that users.match takes"
            )
        return SignedIn(name, claims, id_token, dataclasses.replace(tokens, id_token=signed))

    def renew(
        self, refresh_token: str, *, sub: str, nonce: str, clock: Callable[[], float]
    ) -> RefreshedTokens:
        """New tokens for a refresh token. To be called once for each: many IdPs take one once.

        Args:
            sub: who signed in; tokens of anybody else are refused.
            nonce: that of the sign-in.
            clock: epoch seconds, asked when the answer is there: it may be long in coming.

        Raises:
            Refused: PROVIDER_ERROR with `error` "invalid_grant": what the IdP granted is over; else for the
                first thing wrong.
            ProviderUnavailable: it did not answer; unless `sent` is false, nobody can say whether the token
                was used up.

        Spec: RFC 6749 6; OIDC Core 12.2.
        """
        tokens = self.token_endpoint.refresh(refresh_token)
        if tokens.id_token is None:
            return tokens
        signed = self._opened(tokens.id_token)
        rules = dataclasses.replace(self._rules(nonce, None, tokens.access_token), nonce_may_be_missing=True)
        if verify_id_token(signed, self.signed_tokens.read, rules, int(clock())).sub != sub:
            raise Refused(Reason.ID_TOKEN_SUB, "the new ID token is about somebody else")
        return dataclasses.replace(tokens, id_token=signed)

    def _opened(self, id_token: str) -> str:
        try:
            return self.signed_tokens.opened(id_token)
        except JWEError as error:
            raise Refused(Reason.ID_TOKEN_ENCRYPTION, error.detail) from None

    def _checked(self, id_token: str, access_token: str, transaction: Transaction, now: int) -> IdTokenClaims:
        rules = self._rules(transaction.nonce, transaction.max_age_seconds, access_token)
        claims = verify_id_token(id_token, self.signed_tokens.read, rules, now)
        hosted_domain = self.provider.hosted_domain
        if hosted_domain is not None and claims.all.get("hd") != hosted_domain:
            # What the request asks for only chooses the accounts that the IdP's page shows.
            detail = f"the account is not one of {hosted_domain} (provider.hosted_domain)"
            raise Refused(Reason.ID_TOKEN_HOSTED_DOMAIN, detail)
        if transaction.acr_values and claims.acr not in transaction.acr_values:
            # acr_values is a wish to the IdP; to us, who asked because a rule demands it, it is a condition.
            raise Refused(Reason.ID_TOKEN_ACR, "the sign-in was not of the strength that was asked for")
        return claims

    def _rules(self, nonce: str, max_age_seconds: int | None, access_token: str) -> IdTokenRules:
        return IdTokenRules(
            issuer=self.provider.expected_issuer,
            client_id=self.provider.client_id,
            algorithms=self.signed_tokens.algorithms(),
            nonce=nonce,
            max_age=max_age_seconds,
            clock_skew_seconds=self.provider.clock_skew_seconds,
            access_token=access_token,
            tenants=frozenset(self.provider.allowed_tenants),
        )
