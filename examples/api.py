"""An API that people's applications call with access tokens: it believes one issuer, by signature alone.

    pip install werkzeug requests joserfc gunicorn
    API_ISSUER=http://localhost:9000 API_AUDIENCE=http://localhost:8200 \
        gunicorn --bind localhost:8200 "examples.api:from_environment()"

It knows nothing of the provider but what is published: tokens are JWTs as in RFC 9068, verified with the keys
of the issuer's key set. Nothing is asked of the provider for a request. So a token is good until it ends,
even if it was revoked meanwhile: give it a short life, or ask the introspection endpoint instead.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, Key, KeySet
from werkzeug import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Chosen here and never by a token, which could name one that makes forging easy.
ALGORITHM = "RS256"
#: What each method of the one resource here takes.
SCOPES = {"GET": "orders:read", "POST": "orders:write"}


class Unavailable(Exception):
    """The keys cannot be had now, so nobody can be judged."""


@dataclass
class PublishedKeys:
    """The keys of an issuer, fetched when needed and kept for a while.

    A key that is not known may be a new one, so the set is fetched again; at most every `pause_seconds`,
    because anybody can send tokens that name a key.
    """

    issuer: str
    keep_seconds: int = 600
    pause_seconds: int = 30
    clock: Callable[[], float] = time.time
    _keys: dict[str, Key] = field(default_factory=dict)
    _fetched_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, kid: object) -> Key:
        """The key of that name.

        Raises:
            JoseError: there is none.
            Unavailable: the key set cannot be fetched, and none is kept.
        """
        with self._lock:
            now = self.clock()
            stale = now - self._fetched_at > self.keep_seconds or kid not in self._keys
            if stale and now - self._tried_at > self.pause_seconds:
                self._tried_at = now
                self._fetch(now)
            if not self._keys:
                raise Unavailable
            if not isinstance(kid, str) or kid not in self._keys:
                raise JoseError("the token names no key of the issuer")
            return self._keys[kid]

    def _fetch(self, now: float) -> None:
        try:
            metadata = _get_json(f"{self.issuer}/.well-known/openid-configuration")
            if metadata["issuer"] != self.issuer:
                raise ValueError("the metadata is of another issuer")
            found = KeySet.import_key_set(_get_json(metadata["jwks_uri"]))
        except (requests.RequestException, JoseError, ValueError, KeyError, TypeError):
            # An outage of the provider takes nothing from us: the keys that are kept stay.
            return
        self._keys = {key.kid: key for key in found.keys if key.kid}
        self._fetched_at = now


def _get_json(url: str) -> Any:
    answer = requests.get(url, timeout=5, allow_redirects=False)
    answer.raise_for_status()
    return answer.json()


class Refused(Exception):
    """A request that is not let in, as RFC 6750 3 says it; no `error` where no token came at all."""

    def __init__(self, status: int, error: str = "", description: str = "", scope: str = "") -> None:
        super().__init__(description)
        parts = {"realm": "orders", "error": error, "error_description": description, "scope": scope}
        self.status = status
        self.document = {name: value for name, value in parts.items() if value and name != "realm"}
        self.challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)


@dataclass(frozen=True)
class Api:
    """The API itself: a list of orders.

    Attributes:
        audience: What tokens for this API have in `aud`. A token for another API is refused, or whoever runs
            that one could come here with it.
    """

    issuer: str
    audience: str
    keys: PublishedKeys
    clock: Callable[[], float] = time.time

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Say what may be said to whoever holds this token."""
        if request.path == "/healthz":
            return _json({"status": "ok"})
        scope = SCOPES.get(request.method)
        if request.path != "/orders" or scope is None:
            return _json({"error": "not_found"}, 404)
        try:
            claims = self.claims_of(request)
            if scope not in str(claims.get("scope", "")).split():
                raise Refused(403, "insufficient_scope", f"this takes the scope {scope}", scope)
        except Refused as refused:
            return _json(refused.document, refused.status, {"WWW-Authenticate": refused.challenge})
        except Unavailable:
            return _json({"error": "temporarily_unavailable"}, 503, {"Retry-After": "30"})
        return _json({"orders": [], "of": claims["sub"], "through": claims["client_id"]})

    def claims_of(self, request: Request) -> dict[str, Any]:
        """The claims of the request's access token. Spec: RFC 9068 4; RFC 6750 2.1, 3.1.

        Raises:
            Refused: there is no token, or it is not good here.
            Unavailable: nobody can say.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401)
        if token.count(".") != 2:
            raise Refused(401, "invalid_token", "not a signed token")
        try:
            decoded = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
        except (JoseError, ValueError, UnicodeError):
            raise Refused(401, "invalid_token", "not a token of the issuer") from None
        claims = dict(decoded.claims)
        audiences = claims.get("aud")
        if claims.get("iss") != self.issuer:
            raise Refused(401, "invalid_token", "the token is of another issuer")
        if self.audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise Refused(401, "invalid_token", "the token is for another API")
        expires_at = claims.get("exp")
        if not isinstance(expires_at, int) or expires_at <= self.clock():
            raise Refused(401, "invalid_token", "the token has expired")
        if not {"sub", "client_id"} <= claims.keys():
            raise Refused(401, "invalid_token", "the token does not say whose it is")
        return claims

    def _key_of(self, token: GuestProtocol) -> Key:
        headers = token.headers()
        # An ID token is signed with the same keys, and is no access token.
        if str(headers.get("typ", "")).lower().removeprefix("application/") != "at+jwt":
            raise JoseError("not an access token")
        return self.keys.find(headers.get("kid"))


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    response = Response(json.dumps(document), status=status, content_type="application/json")
    response.headers.update({"Cache-Control": "no-store", **(headers or {})})
    return response


def create_app(issuer: str, audience: str, clock: Callable[[], float] = time.time) -> "WSGIApplication":
    """The API for one issuer, under the name that its tokens have for it."""
    return Api(issuer, audience, PublishedKeys(issuer, clock=clock), clock)


def from_environment() -> "WSGIApplication":
    """The API as `API_ISSUER` and `API_AUDIENCE` say."""
    return create_app(os.environ["API_ISSUER"], os.environ["API_AUDIENCE"])
