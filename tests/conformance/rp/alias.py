"""One provider for one module: what it says and signs, and what it was asked.

It answers the authorization endpoint at once, as the person who has signed in. How requests come in is
`provider` next door.
"""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from tests.conformance.rp.answers import Answer, authorization_response
from tests.conformance.rp.signing import Key, changed, key, signed
from tests.conformance.rp.target import RelyingParty

SUB = "3f2c1a5e-person"
#: The scopes that ask for claims of the person. Spec: OIDC Core 5.4.
CLAIM_SCOPES = ("profile", "email", "address", "phone")
#: How long an access token lives; with a refresh token beside it, which is then due.
LIFETIME_SECONDS = 300
REFRESHED_LIFETIME_SECONDS = 10


def a_code(alias: "Alias", asked: Mapping[str, str]) -> dict[str, str]:
    """What a request of the code flow is answered with, beside its state."""
    code = secrets.token_urlsafe(24)
    alias.codes[code] = dict(asked)
    return {"code": code}


#: The answer to the parameters that came, and the headers.
Endpoint = Callable[[dict[str, str], Mapping[str, str]], Answer]


def _plain(claims: Mapping[str, Any]) -> Answer:
    return Answer(200, claims)


def _good_token(alias: "Alias", claims: Mapping[str, Any]) -> str:
    return signed(claims, alias.signing_key, kid=alias.signing_key.kid)


@dataclass
class Alias:
    """A provider of its own under `/test/a/NAME/`.

    Attributes:
        rp: its one client.
        keys: those of its key set.
        other_keys: what else is in that set.
        signing_key: signs ID tokens.
        metadata, id_token, userinfo: what is said otherwise than rightly, by member; `GONE` leaves one out.
        make_id_token: makes the token of the claims.
        make_userinfo: makes the answer of the claims.
        gives_refresh_tokens: whether it does, each of them good once.
        renewed_id_token: as `id_token`, of those that come for a refresh token. An answer with such a token
            has to be refused.
        names_keys: whether keys of the set have a `kid`.
        response_mode: how the client has to want its answers.
        sends_by: how they are sent, where otherwise than that.
        authorized: what a request is answered with, beside its state.
        more: further endpoints, by their names.
        before_signing: done when a code is redeemed.
        on_logout: done when a person arrives to sign out, before they are sent on.
        state_back: the state with which they are sent on, by the one that came; None is none.
        with_frames: who signs out is shown a page, for the frames in it, and is sent on from there.
        sign_outs: what came when somebody arrived to sign out, in order.
        onward: where the last of them is sent on to.
        id_tokens: those that were given, in order.
        calls: the endpoints that were asked, in order.
        request: the last authorization request.
        renewals: how often a refresh token was taken.
        refused: the tokens of answers that have to be refused.
        claims_of_others: the token that is fetched from `claims` with `claims_token`.
        faults: what the client asked for that it must not, in words.
    """

    issuer: str
    rp: RelyingParty
    keys: list[Key] = field(default_factory=lambda: [key("first")])
    other_keys: list[dict[str, str]] = field(default_factory=list)
    signing_key: Key = field(default_factory=lambda: key("first"))
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id_token: Mapping[str, Any] = field(default_factory=dict)
    userinfo: Mapping[str, Any] = field(default_factory=dict)
    make_id_token: "Callable[[Alias, Mapping[str, Any]], str]" = _good_token
    make_userinfo: Callable[[Mapping[str, Any]], Answer] = _plain
    names_keys: bool = True
    response_mode: str = "query"
    sends_by: str = ""
    authorized: "Callable[[Alias, Mapping[str, str]], Mapping[str, str]]" = a_code
    more: "Mapping[str, Endpoint]" = field(default_factory=dict)
    before_signing: Callable[[], None] = lambda: None
    on_logout: Callable[[], None] = lambda: None
    state_back: Callable[[str | None], str | None] = lambda state: state
    with_frames: bool = False
    sign_outs: list[Mapping[str, str]] = field(default_factory=list)
    onward: str = ""
    id_tokens: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    request: Mapping[str, str] = field(default_factory=dict)
    gives_refresh_tokens: bool = False
    renewed_id_token: Mapping[str, Any] = field(default_factory=dict)
    renewals: int = 0
    refused: set[str] = field(default_factory=set)
    claims_of_others: str = ""
    claims_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    refresh_token: str = ""
    signed_in_at: int = field(default_factory=lambda: int(time.time()))
    sid: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    asked: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, endpoint: str, values: dict[str, str], headers: Mapping[str, str]) -> Answer:
        """The answer of one endpoint to the parameters that came."""
        known: dict[str, Endpoint] = {
            ".well-known/openid-configuration": self._configuration,
            "jwks": self._jwks,
            "authorize": self._authorize,
            "token": self._token,
            "userinfo": self._userinfo,
            "endsession": self._end_session,
            "claims": self._claims,
            **self.more,
        }
        if endpoint not in known:
            self.fault(f"asked for {endpoint}, which is nowhere")
            return Answer(404)
        with self.asked:
            self.calls.append(endpoint)
            self.asked.notify_all()
        return known[endpoint](values, headers)

    def is_asked(self, endpoint: str, wait_seconds: float) -> bool:
        """Whether this endpoint was asked, or is within the time."""
        with self.asked:
            return self.asked.wait_for(lambda: endpoint in self.calls, wait_seconds)

    def fault(self, what: str) -> None:
        """Note what the client did wrong."""
        self.faults.append(what)

    def _need(self, holds: bool, what: str) -> bool:
        if not holds:
            self.fault(what)
        return holds

    def _configuration(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}authorize",
            "token_endpoint": f"{self.issuer}token",
            "userinfo_endpoint": f"{self.issuer}userinfo",
            "jwks_uri": f"{self.issuer}jwks",
            "end_session_endpoint": f"{self.issuer}endsession",
            "response_types_supported": ["code"],
            "response_modes_supported": [self.response_mode],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": ["openid", *CLAIM_SCOPES],
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "frontchannel_logout_supported": True,
            "frontchannel_logout_session_supported": True,
        }
        return Answer(200, changed(document, self.metadata))

    def _jwks(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        keys = [each.published(with_kid=self.names_keys) for each in self.keys]
        return Answer(200, {"keys": [*self.other_keys, *keys]})

    def _authorize(self, values: dict[str, str], headers: Mapping[str, str]) -> Answer:
        """Spec: OIDC Core 3.1.2.1."""
        good = [
            self._need(values.get("response_type") == "code", "response_type is not code"),
            self._need(
                values.get("response_mode", "query") == self.response_mode,
                f"response_mode is not {self.response_mode}",
            ),
            self._need(values.get("client_id") == self.rp.client_id, "client_id is another"),
            self._need(
                values.get("redirect_uri") == self.rp.redirect_uri_of(self.issuer), "redirect_uri is another"
            ),
            self._need("openid" in values.get("scope", "").split(), "scope lacks openid"),
            self._need(bool(values.get("state")), "no state was sent"),
            self._need(bool(values.get("nonce")), "no nonce was sent"),
            self._need(values.get("code_challenge_method", "S256") == "S256", "the challenge is not S256"),
        ]
        if not all(good):
            return Answer(400, {"error": "invalid_request"})
        self.request = values
        parameters = {**self.authorized(self, values), "state": values["state"]}
        back = self.rp.redirect_uri_of(self.issuer)
        return authorization_response(self.sends_by or self.response_mode, back, parameters)

    def _token(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Spec: OIDC Core 3.1.3.1, 9; RFC 6749 2.3.1; RFC 7636 4.6."""
        if not self._need(self._is_client(values, headers), "the client did not use client_secret_basic"):
            return Answer(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})
        if self.gives_refresh_tokens and values.get("grant_type") == "refresh_token":
            return self._renewed(values)
        asked = self.codes.pop(values.get("code", ""), None)
        if not self._need(asked is not None, "the code is unknown or used") or asked is None:
            return Answer(400, {"error": "invalid_grant"})
        good = [
            self._need(values.get("grant_type") == "authorization_code", "grant_type is another"),
            self._need(values.get("redirect_uri") == asked["redirect_uri"], "redirect_uri changed"),
            self._need(_proves(values.get("code_verifier"), asked.get("code_challenge")), "PKCE is wrong"),
        ]
        if not all(good):
            return Answer(400, {"error": "invalid_grant"})
        self.before_signing()
        return self._tokens(self.new_id_token(asked))

    def _renewed(self, values: Mapping[str, str]) -> Answer:
        """Spec: RFC 6749 6; OIDC Core 12."""
        sent, scope = values.get("refresh_token", ""), values.get("scope", "").split()
        good = [
            self._need(sent not in self.refused, "the refresh token of a refused answer was used"),
            self._need(sent == self.refresh_token, "a refresh token was sent that is not the newest"),
            self._need(
                set(scope) <= set(self.request["scope"].split()), "scope is wider than at the sign-in"
            ),
        ]
        if not all(good):
            return Answer(400, {"error": "invalid_grant"})
        self.renewals += 1
        answer = self._tokens(self._signed(self.renewed_id_token))
        if self.renewed_id_token:
            self.refused |= {answer.document["access_token"], answer.document["refresh_token"]}
        return answer

    def _tokens(self, id_token: str) -> Answer:
        answer = {**self.new_access_token(), "id_token": id_token}
        if self.gives_refresh_tokens:
            self.refresh_token = secrets.token_urlsafe(24)
            answer |= {"refresh_token": self.refresh_token, "expires_in": REFRESHED_LIFETIME_SECONDS}
        return Answer(200, answer, {"Cache-Control": "no-store"})

    def new_access_token(self) -> dict[str, Any]:
        """A new access token, as an answer holds it."""
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS}

    def new_id_token(self, asked: Mapping[str, str], more: Mapping[str, Any] | None = None) -> str:
        """An ID token for the request `asked`, with `more` claims."""
        return self._signed({"nonce": asked["nonce"], **(more or {}), **self.id_token})

    def _signed(self, changes: Mapping[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": SUB,
            "aud": self.rp.client_id,
            "iat": now,
            "exp": now + 300,
            "auth_time": self.signed_in_at,
            "sid": self.sid,
        }
        id_token = self.make_id_token(self, changed(claims, changes))
        self.id_tokens.append(id_token)
        return id_token

    def _is_client(self, values: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        scheme, _, proof = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic" or "client_secret" in values:
            return False
        name, _, secret = base64.b64decode(proof).decode().partition(":")
        return (unquote(name), unquote(secret)) == (self.rp.client_id, self.rp.client_secret)

    def _userinfo(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Spec: OIDC Core 5.3."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        good = scheme.lower() == "bearer" and token in self.tokens
        if not self._need(good, "userinfo was asked without the access token in the header"):
            return Answer(401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"})
        self._need(token not in self.refused, "the access token of a refused answer was used")
        # A name of each provider's own: whoever bears it at one may not come from another.
        name = self.issuer.rstrip("/").rpartition("/")[2]
        claims = {"sub": SUB, "name": "Alice Example", "preferred_username": name, "email": "a@id.example"}
        return self.make_userinfo(changed(claims, self.userinfo))

    def _claims(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Spec: OIDC Core 5.6.2.2."""
        good = headers.get("Authorization", "") == f"Bearer {self.claims_token}"
        if not self._need(good, "claims were asked for without the access token of their source"):
            return Answer(401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"})
        return Answer(200, self.claims_of_others, {"Content-Type": "application/jwt"})

    def _end_session(self, values: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Spec: OIDC RP-Initiated Logout 2."""
        wanted = values.get("post_logout_redirect_uri")
        # What the specification recommends, the certification demands.
        hinted = values.get("id_token_hint") in self.id_tokens
        good = [
            self._need(hinted, "id_token_hint of the sign-out is no ID token that was given"),
            self._need(
                values.get("client_id", self.rp.client_id) == self.rp.client_id, "client_id is another"
            ),
            self._need(wanted == self.rp.post_logout_redirect_uri, "post_logout_redirect_uri is another"),
        ]
        if not all(good):
            return Answer(400, {"error": "invalid_request"})
        self.sign_outs.append(values)
        self.on_logout()
        state = self.state_back(values.get("state"))
        self.onward = f"{wanted}" if state is None else f"{wanted}?{urlencode({'state': state})}"
        return Answer(200) if self.with_frames else Answer(302, headers={"Location": self.onward})


def _proves(verifier: str | None, challenge: str | None) -> bool:
    if verifier is None or challenge is None:
        return verifier is challenge
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
