"""One run of a module: the requests of a client, and what holds for every answer to them.

Each whole authorization is judged in full: the place of the answer, its parameters, the ID tokens with their
signatures and hashes, the token response. What a module adds is next door.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from tests.conformance.op import id_token, registration
from tests.conformance.op.browser import Browser, Callback, Journey, Page, Pairs, Traveller
from tests.conformance.op.id_token import Claims, Expected
from tests.conformance.op.messages import ERROR_MEMBERS, check_bearer, check_error, code_form
from tests.conformance.op.outcome import Failure, need
from tests.conformance.op.person import check_types
from tests.conformance.op.receiver import Receiver
from tests.conformance.op.target import Client, Target
from tests.conformance.op.variant import Variant

if TYPE_CHECKING:
    from tests.conformance.op.screen import Windows

#: What an authorization response may carry beside what was asked for.
_ACCOMPANYING = {"state", "iss", "session_state", "scope"}
Parameters = dict[str, str]


@dataclass(frozen=True)
class Grant:
    """All that one successful authorization gave."""

    request: Parameters
    journey: Journey
    answer: Mapping[str, str]
    access_token: str | None
    id_tokens: tuple[str, ...]
    claims: Claims
    tokens: Mapping[str, Any]

    @property
    def id_token(self) -> str:
        """The last one that was given."""
        return self.id_tokens[-1]


@dataclass(frozen=True)
class Answer:
    """Status, headers and JSON body of a call from server to server."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any


@dataclass
class Run:
    """One module against one provider.

    Attributes:
        browser: of the person who runs the whole plan; it may be signed in already.
        windows: a Chromium for the modules that need one; None: each starts its own.
        warnings: what was not forbidden and yet counts as a failure.
        registered: the clients that this run registered.
    """

    target: Target
    variant: Variant
    browser: Browser
    wait: Callable[[float], None] = time.sleep
    windows: "Windows | None" = None
    warnings: list[str] = field(default_factory=list)
    registered: list["registration.Registered"] = field(default_factory=list)

    @cached_property
    def _http(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = self.target.ca_file or True
        return session

    @cached_property
    def receiver(self) -> Receiver:
        """Where the provider fetches what this run serves; it listens until the run is closed."""
        assert self.target.receiver is not None, "[receiver]"
        return Receiver(self.target.receiver)

    def close(self) -> None:
        """Take back the clients of this run, and close its connections."""
        for client in self.registered:
            registration.unregister(self, client)
        if "receiver" in vars(self):
            self.receiver.close()
        self._http.close()

    def warn_unless(self, holds: bool, what: str, clause: str) -> None:
        """Note ``what`` unless it holds."""
        if not holds:
            self.warnings.append(f"{what} [{clause}]")

    # What the provider says of itself.

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The discovery document."""
        answer = self.fetch(f"{self.target.issuer.rstrip('/')}/.well-known/openid-configuration")
        need(answer.status == 200, f"discovery answered {answer.status}", "OIDC Discovery 4.2")
        need(isinstance(answer.json, dict), "discovery is no JSON object", "OIDC Discovery 4.2")
        return dict(answer.json)

    @cached_property
    def keys(self) -> list[dict[str, Any]]:
        """The provider's keys, read once."""
        return self.published_keys()

    def published_keys(self) -> list[dict[str, Any]]:
        """The provider's keys as they are now."""
        answer = self.fetch(self.endpoint("jwks_uri"))
        need(answer.status == 200, f"jwks_uri answered {answer.status}", "OIDC Discovery 3")
        return id_token.check_key_set(answer.json)

    def endpoint(self, name: str) -> str:
        """The URL of an endpoint."""
        url = self.metadata.get(name)
        need(isinstance(url, str), f"the metadata has no {name}", "OIDC Discovery 3")
        return str(url)

    def supported(self, name: str) -> Sequence[str]:
        """What a list of the metadata has; empty when it is not there."""
        return list(self.metadata.get(name, []))

    # The client at the authorization endpoint.

    @cached_property
    def client(self) -> Client:
        """The client that the plan runs with."""
        if self.variant.registers:
            return registration.register(self)
        return self.target.post if self.variant.client_auth == "client_secret_post" else self.target.basic

    @cached_property
    def second(self) -> Client:
        """Another client like it, which tries what is not its own."""
        return registration.register(self) if self.variant.registers else self.target.second

    def parameters(self, *, client: Client | None = None, **changes: str | None) -> Parameters:
        """An authorization request of this plan; a change to None leaves the parameter out."""
        client = client or self.client
        standard = {
            "client_id": client.client_id,
            "response_type": self.variant.response_type,
            "redirect_uri": client.redirect_uri,
            "scope": "openid",
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
        }
        if self.variant.response_mode != "default":
            standard["response_mode"] = self.variant.response_mode
        return {name: value for name, value in {**standard, **changes}.items() if value is not None}

    def authorization_url(self, request: Mapping[str, str]) -> str:
        """The address that a browser is sent to."""
        endpoint = self.endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(request)}"

    def authorize(
        self, request: Mapping[str, str], browser: Traveller | None = None, *, post: bool = False
    ) -> Journey:
        """Send the person to the provider with a request."""
        browser = browser or self.browser
        if post:
            url = self.endpoint("authorization_endpoint")
            return browser.travel(url, self.target.answer, form=list(request.items()))
        return browser.travel(self.authorization_url(request), self.target.answer)

    def answer(self, journey: Journey, request: Mapping[str, str]) -> dict[str, str]:
        """The parameters that came back, from the one place they may be in, with the state of the request."""
        end = journey.end
        if isinstance(end, Page):
            raise Failure(f"no answer came to the client but {end}", "OIDC Core 3.1.2.5")
        pairs = self._pairs(end, request.get("redirect_uri", ""))
        names = [name for name, _ in pairs]
        need(len(names) == len(set(names)), f"the answer repeats a parameter: {names}", "RFC 6749 3.1")
        answer = dict(pairs)
        state, sent = answer.get("state"), request.get("state")
        need(state == sent, f"state is {state!r}, not {sent!r}", "RFC 6749 4.1.2")
        issuer = answer.get("iss")
        # An ID token says it as well. Spec: RFC 9207 4.
        announced = (
            self.metadata.get("authorization_response_iss_parameter_supported") and "id_token" not in answer
        )
        if issuer is not None or announced:
            need(issuer == self.target.issuer, f"iss of the answer is {issuer!r}", "RFC 9207 2.4")
        return answer

    def _pairs(self, callback: Callback, redirect_uri: str) -> Pairs:
        place = self.variant.place
        callback = without_its_own_query(callback, redirect_uri)
        need(
            callback.method == ("POST" if place == "form" else "GET"),
            f"the answer is {callback}",
            "OAuth Multiple Response Types 2.1",
        )
        for other in {"query", "fragment", "form"} - {place}:
            carried = sorted(name for name, _ in getattr(callback, other))
            need(not carried, f"the {other} carries {carried}, not the {place}", "OIDC Core 3.3.2.5")
        return tuple(getattr(callback, place))

    def refused(self, journey: Journey, request: Mapping[str, str], *errors: str) -> None:
        """The answer is one of these errors and gives nothing."""
        answer = self.answer(journey, request)
        given = sorted({"code", "access_token", "id_token"} & answer.keys())
        need(not given, f"the answer gives {given}", "OIDC Core 3.1.2.6")
        error = answer.get("error")
        need(error in errors, f"error is {error!r}, not {' or '.join(errors)}", "OIDC Core 3.1.2.6")
        self.judge_error(answer)

    def judge_error(self, answer: Mapping[str, str]) -> None:
        """That an error at the authorization endpoint says what it may say."""
        check_error(answer)
        unknown = sorted(answer.keys() - ERROR_MEMBERS)
        self.warn_unless(not unknown, f"the error has {unknown}", "OIDC Core 3.1.2.6")

    # A whole authorization.

    def complete(
        self,
        *,
        browser: Traveller | None = None,
        client: Client | None = None,
        post: bool = False,
        verifier: str | None = None,
        backwards: bool = False,
        **changes: str | None,
    ) -> Grant:
        """Authorize and redeem; everything that came is judged.

        Args:
            verifier: the PKCE verifier that goes with the changed request.
            backwards: the parameters of the request in the reverse of their usual order.
        """
        client = client or self.client
        request = self.parameters(client=client, **changes)
        if backwards:
            request = dict(reversed(request.items()))
        journey = self.authorize(request, browser, post=post)
        return self.accepted(journey, request, client, verifier)

    def accepted(
        self, journey: Journey, request: Parameters, client: Client | None = None, verifier: str | None = None
    ) -> Grant:
        """Judge an answer that has to be a success, and redeem what it gave."""
        client = client or self.client
        answer = self.answer(journey, request)
        self._judge_parameters(answer)
        id_tokens: list[str] = []
        claims: Claims = {}
        if self.variant.gives_id_token:
            id_tokens.append(answer["id_token"])
            claims = self.judge_id_token(answer["id_token"], request, client)
            if self.variant.gives_code:
                id_token.check_hash(claims, "c_hash", answer["code"], required=True)
            if self.variant.gives_token:
                id_token.check_hash(claims, "at_hash", answer["access_token"], required=True)
        tokens: Mapping[str, Any] = {}
        if self.variant.gives_code:
            tokens = self.redeem(answer["code"], request, client, verifier)
            last = self.judge_id_token(str(tokens["id_token"]), request, client)
            if client.id_token_alg != "none":
                id_token.check_hash(last, "at_hash", str(tokens["access_token"]), required=False)
            for name in ("iss", "sub"):
                same = claims.get(name, last[name]) == last[name]
                need(same, f"{name} of the two ID tokens differs", "OIDC Core 3.3.3.6")
            id_tokens.append(str(tokens["id_token"]))
            claims = last
        return Grant(
            request=request,
            journey=journey,
            answer=answer,
            access_token=tokens.get("access_token", answer.get("access_token")),
            id_tokens=tuple(id_tokens),
            claims=claims,
            tokens=tokens,
        )

    def _judge_parameters(self, answer: Mapping[str, str]) -> None:
        error = answer.get("error")
        need(error is None, f"refused: {error}: {answer.get('error_description')}", "OIDC Core 3.1.2.5")
        given = {
            "code": self.variant.gives_code,
            "id_token": self.variant.gives_id_token,
            "access_token": self.variant.gives_token,
            "token_type": self.variant.gives_token,
        }
        for name, wanted in given.items():
            need(
                (name in answer) == wanted,
                f"{name} {'is missing' if wanted else 'was not asked for'}",
                "OIDC Core 3",
            )
        if self.variant.gives_token:
            check_bearer(answer)
        allowed = {*_ACCOMPANYING, *given, *({"expires_in"} if self.variant.gives_token else ())}
        unknown = sorted(answer.keys() - allowed)
        need(not unknown, f"the answer has {unknown}", "OIDC Core 3.1.2.5")

    def judge_id_token(self, token: str, request: Mapping[str, str], client: Client) -> Claims:
        """The claims of an ID token that is as it must be."""
        claims = id_token.verified(token, self.keys, client.id_token_alg)
        expected = Expected(self.target.issuer, client.client_id, request.get("nonce"), time.time())
        id_token.check_claims(claims, expected)
        check_types(claims)
        return claims

    # From server to server.

    def fetch(self, url: str, *, method: str = "GET", **options: Any) -> Answer:
        """One call without cookies; redirects are not followed."""
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        response = self._http.request(
            method, url, headers=headers, cookies={}, allow_redirects=False, timeout=30, **options
        )
        self._http.cookies.clear()
        try:
            body = response.json()
        except ValueError:
            body = None
        return Answer(response.status_code, response.headers, response.text, body)

    def picture(self, url: str) -> bytes:
        """What an image of a page is, or nothing."""
        response = self._http.get(url, allow_redirects=False, timeout=30)
        return response.content if response.ok else b""

    def token_request(
        self, form: Mapping[str, str], client: Client, *, audience: str | None = None
    ) -> Answer:
        """Call the token endpoint as a client, authenticated as the plan says.

        Args:
            audience: whom a client assertion is for; None: the token endpoint.
        """
        # What the metadata does not say is client_secret_basic. Spec: OIDC Discovery 3.
        methods = self.supported("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        wanted = self.variant.client_auth
        need(
            wanted in methods, f"{wanted} is not in token_endpoint_auth_methods_supported", "OIDC Discovery 3"
        )
        headers, credentials = client.credentials(wanted, audience or self.endpoint("token_endpoint"))
        sent = {**form, **credentials}
        answer = self.fetch(self.endpoint("token_endpoint"), method="POST", data=sent, headers=headers)
        content_type = answer.headers.get("Content-Type", "")
        is_json = content_type.partition(";")[0].strip() == "application/json" and isinstance(
            answer.json, dict
        )
        need(is_json, f"the token endpoint answered {answer.status} as {content_type!r}", "RFC 6749 5.1")
        return answer

    def redeem(
        self, code: str, request: Mapping[str, str], client: Client, verifier: str | None = None
    ) -> Mapping[str, Any]:
        """The token response for a code."""
        answer = self.token_request(code_form(code, request, verifier), client)
        self.judge_tokens(answer)
        need("id_token" in answer.json, "the token response has no id_token", "OIDC Core 3.1.3.3")
        return dict(answer.json)

    def judge_tokens(self, answer: Answer) -> None:
        """That a token response is a success as it must be."""
        body = answer.json
        need(
            answer.status == 200,
            f"the token endpoint answered {answer.status} {body.get('error')!r}",
            "RFC 6749 5.1",
        )
        check_bearer(body)
        seconds = body.get("expires_in", 1)
        need(isinstance(seconds, int), f"expires_in is {seconds!r}, no number", "RFC 6749 5.1")
        caching = answer.headers.get("Cache-Control", "")
        need("no-store" in caching, f"the token response has Cache-Control {caching!r}", "RFC 6749 5.1")

    def userinfo(self, access_token: str, how: str = "get") -> Answer:
        """Call the userinfo endpoint in a way of RFC 6750: ``get``, ``post-header`` or ``post-body``."""
        url, bearer = self.endpoint("userinfo_endpoint"), {"Authorization": f"Bearer {access_token}"}
        if how == "post-body":
            return self.fetch(url, method="POST", data={"access_token": access_token})
        return self.fetch(url, method="GET" if how == "get" else "POST", headers=bearer)

    def person(self, grant: Grant, how: str = "get") -> Claims:
        """The claims of the userinfo endpoint, of the person of the ID token."""
        assert grant.access_token is not None
        answer = self.userinfo(grant.access_token, how)
        need(answer.status == 200, f"userinfo answered {answer.status} to {how}", "OIDC Core 5.3.1")
        content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        need(content_type == "application/json", f"userinfo is {content_type!r}", "OIDC Core 5.3.2")
        need(isinstance(answer.json, dict), "userinfo is no JSON object", "OIDC Core 5.3.2")
        claims: Claims = answer.json
        subject, named = claims.get("sub"), grant.claims["sub"]
        need(
            subject == named,
            f"sub of userinfo is {subject!r}, that of the ID token {named!r}",
            "OIDC Core 5.3.2",
        )
        return claims


def without_its_own_query(callback: Callback, redirect_uri: str) -> Callback:
    """The request that left for a client, less the query that its redirect URI has. Spec: RFC 6749 3.1.2."""
    query = list(callback.query)
    for pair in parse_qsl(urlsplit(redirect_uri).query, keep_blank_values=True):
        need(pair in query, f"the redirect URI lost its {pair[0]!r}: {callback}", "RFC 6749 3.1.2")
        query.remove(pair)
    return replace(callback, query=tuple(query))
