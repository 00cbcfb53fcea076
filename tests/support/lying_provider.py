"""An identity provider that tells the truth except in the one field a test chooses, and the gate in front of
it.

It answers through requests-mock, so each call is counted. `Scene` is the gate, an app that notes who came,
and browsers.
"""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import requests
import requests_mock
from werkzeug.test import Client, TestResponse

from oidcgate import Gate
from oidcgate.audit import Audit
from oidcgate.directory.port import AmbiguousUser, KnownUser
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.parts import GateParts
from oidcgate.jose.jwt import sign, unverified_header, verify
from oidcgate.jose.keys import SIGNING_ALGORITHMS, Key, VerificationKey, generate_key, public_jwk
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, verify_hmac
from oidcgate.protocol.client_assertion import JWT_BEARER, AssertionRules, check_assertion_claims
from oidcgate.settings import Problem

ISSUER: Final = "https://id.example"
APP: Final = "https://app.example.com"
CLIENT_ID: Final = "app"
CLIENT_SECRET: Final = "a:secret/with+odd %signs, and long enough"
SECRET: Final = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
NOW: Final = 1_900_000_000

#: Takes a member away.
GONE: Final = object()

NAVIGATION: Final = {
    "Accept": "text/html,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
SCRIPT: Final = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
SAME_ORIGIN: Final = {"Origin": APP, "Sec-Fetch-Site": "same-origin"}

_KEY: Final = generate_key("ES256")


def signing_key() -> Key:
    """What providers here sign with, unless a test chooses another key."""
    return _KEY


def changed(document: Mapping[str, Any], lies: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with the lies told over it."""
    return {name: value for name, value in {**document, **lies}.items() if value is not GONE}


class LyingProvider:
    """One identity provider.

    Attributes:
        metadata, claims, header, tokens, userinfo: lies, by member; GONE takes the member away.
        key: what it signs with; its key set always names the true one.
        altered: what becomes of the finished ID token.
        broken: by endpoint, how requests-mock answers instead.
    """

    def __init__(self, clock: "Clock", *, issuer: str = ISSUER, name: str = "preferred_username") -> None:
        self.clock = clock
        self.issuer = issuer
        self.user_claim = name
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.key: Key = _KEY
        self.altered: Callable[[str], str] = lambda token: token
        self.status = 200
        self.codes: dict[str, dict[str, str]] = {}
        self.used: set[str] = set()
        self.pushed: dict[str, dict[str, str]] = {}
        # What it knows of a client that has no secret, or signs who it is.
        self.public_client = False
        self.client_keys: tuple[VerificationKey, ...] = ()
        self.audience = issuer
        self.seen_assertions: list[str] = []
        self.sent: list[dict[str, str]] = []
        self.while_redeeming: Callable[[], object] = lambda: None
        self.adapter = requests_mock.Adapter()
        self._answers: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
            "/.well-known/openid-configuration": ("GET", self._metadata),
            "/jwks": ("GET", self._keys),
            "/token": ("POST", self._token),
            "/userinfo": ("GET", self._userinfo),
            "/par": ("POST", self._pushed),
        }
        for path in self._answers:
            self.mend(path)

    def calls(self, path: str) -> int:
        """How often this endpoint was called."""
        return sum(urlsplit(call.url).path == path for call in self.adapter.request_history)

    def breaks(self, path: str, **answer: Any) -> None:
        """From now on the endpoint answers like this (requests-mock's arguments)."""
        self.adapter.register_uri(requests_mock.ANY, self.issuer + path, **answer)

    def mend(self, path: str) -> None:
        """From now on the endpoint answers as it should."""
        method, answer = self._answers[path]
        self.adapter.register_uri(method, self.issuer + path, json=answer)

    def answer(self, location: str, **lies: Any) -> str:
        """Where a browser is sent back to from the authorization URL `location`."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        if "request_uri" in asked:
            assert asked.keys() == {"client_id", "request_uri"}
            asked = self.pushed.pop(asked["request_uri"])
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        answer = changed({"code": code, "state": asked["state"], "iss": self.issuer}, lies)
        return f"{asked['redirect_uri']}?{urlencode(answer, doseq=True)}"

    def _metadata(self, request: Any, context: Any) -> dict[str, Any]:
        truth = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end_session",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": ["openid", "profile", "email"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return changed(truth, self.metadata)

    def _pushed(self, request: Any, context: Any) -> dict[str, Any]:
        pairs = parse_qsl(request.text, strict_parsing=True)
        form = dict(pairs)
        assert len(form) == len(pairs), "a parameter is there twice"
        if not self._authenticated(request.headers.get("Authorization", ""), form):
            context.status_code = 401
            return {"error": "invalid_client"}
        request_uri = f"urn:ietf:params:oauth:request_uri:{len(self.pushed)}"
        self.pushed[request_uri] = form
        context.status_code = 201
        return {"request_uri": request_uri, "expires_in": 60}

    def _keys(self, request: Any, context: Any) -> dict[str, Any]:
        return {"keys": [public_jwk(_KEY, "one", "ES256")]}

    def _token(self, request: Any, context: Any) -> dict[str, Any]:
        form = dict(parse_qsl(request.text))
        self.sent.append({**form, "authorization": request.headers.get("Authorization", "")})
        asked = self.codes.get(form.get("code", ""))
        refusal = self._refusal(request, form, asked)
        if refusal or asked is None:
            context.status_code = 401 if refusal == "invalid_client" else 400
            return {"error": refusal}
        self.used.add(form["code"])
        self.while_redeeming()
        context.status_code = self.status
        return changed(
            {
                "access_token": "the-access-token",
                "token_type": "Bearer",
                "expires_in": 300,
                "id_token": self._id_token(asked),
            },
            self.tokens,
        )

    def _refusal(self, request: Any, form: Mapping[str, str], asked: Mapping[str, str] | None) -> str | None:
        if not self._authenticated(request.headers.get("Authorization", ""), form):
            return "invalid_client"
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        good = (
            asked is not None
            and form.get("grant_type") == "authorization_code"
            and form["code"] not in self.used
            and form.get("redirect_uri") == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )
        return None if good else "invalid_grant"

    def _authenticated(self, authorization: str, form: Mapping[str, str]) -> bool:
        if authorization.startswith("Basic "):
            pair = base64.b64decode(authorization[6:]).decode().split(":")
            return [unquote_plus(part) for part in pair] == [CLIENT_ID, CLIENT_SECRET]
        if form.get("client_id") != CLIENT_ID:
            return False
        if "client_assertion" in form:
            return self._asserted(form)
        return self.public_client or form.get("client_secret") == CLIENT_SECRET

    def _asserted(self, form: Mapping[str, str]) -> bool:
        token = form["client_assertion"]
        self.seen_assertions.append(token)
        if form["client_assertion_type"] != JWT_BEARER:
            return False
        alg = unverified_header(token)["alg"]
        header, claims = (
            verify_hmac(token, [CLIENT_SECRET], HMAC_ALGORITHMS)
            if alg in HMAC_ALGORITHMS
            else verify(token, self.client_keys, SIGNING_ALGORITHMS)
        )
        rules = AssertionRules(
            CLIENT_ID, frozenset({self.audience}), clock_skew_seconds=0, longest_seconds=60
        )
        check_assertion_claims(header, claims, rules, int(self.clock()))
        return True

    def _id_token(self, asked: Mapping[str, str]) -> str:
        now = int(self.clock())
        truth = {
            "iss": self.issuer,
            "sub": "sub-of-alice",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "auth_time": now - 5,
            "name": "Alice of the IdP",
            self.user_claim: "alice",
        }
        return self.signed(changed(truth, self.claims))

    def signed(self, claims: Mapping[str, Any]) -> str:
        """An ID token of these claims, as it signs them."""
        alg = self.header.get("alg", "ES256")
        token = sign(claims, self.key, "ES256", kid="one")
        if self.header:
            header = changed({"alg": alg, "kid": "one"}, self.header)
            token = _resigned(token, header, self.key)
        return self.altered(token)

    def _userinfo(self, request: Any, context: Any) -> dict[str, Any]:
        assert request.headers["Authorization"] == "Bearer the-access-token"
        return changed({"sub": "sub-of-alice"}, self.userinfo)


def _resigned(token: str, header: Mapping[str, Any], key: Key) -> str:
    """The payload of `token` under another header, signed as the true algorithm would."""
    from joserfc import jws

    payload = token.split(".")[1]
    protected = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    signing_input = f"{protected}.{payload}".encode()
    signature = jws.JWSRegistry.algorithms["ES256"].sign(signing_input, key)
    return f"{protected}.{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class Clock:
    """A time that moves only when told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let whoever waits have waited."""
        self.now += seconds


class Directory:
    """Users in a dict, folded by case alone; `failure` is raised instead of an answer."""

    def __init__(self) -> None:
        self.users = {"alice": KnownUser("Alice", display_name="Alice Adams")}
        self.ambiguous: set[str] = set()
        self.failure: Exception | None = None

    def find(self, name: str, *, now: int) -> KnownUser | None:
        if self.failure is not None:
            raise self.failure
        if name in self.ambiguous:
            raise AmbiguousUser(name)
        return self.users.get(name.lower())

    def generation(self) -> int:
        return id(self.users)

    def problems(self) -> list[Problem]:
        return []


@dataclasses.dataclass
class Scene:
    """A gate, its provider, its directory, its app, and browsers that come by."""

    clock: Clock
    provider: LyingProvider
    directory: Directory
    parts: GateParts
    gate: Gate
    audit: list[dict[str, Any]]
    visitors: list[str | None]

    @classmethod
    def set(
        cls, settings: Mapping[str, Any] | None = None, *providers: LyingProvider, clock: Clock | None = None
    ) -> "Scene":
        """A gate in front of the provider (of `providers`, when there are several).

        Args:
            settings: tables laid over the usual ones.
        """
        clock = clock or (providers[0].clock if providers else Clock())
        provider, *others = providers or (LyingProvider(clock),)
        data: dict[str, Any] = {
            "public_url": APP,
            "provider": {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
            "users": {"source": "any"},
            "session": {"secret": SECRET},
            "state": {"store": "memory"},
            # What a script has to do is a browser's; tests of it say so.
            "login": {"keep_fragment": False},
        }
        for table, values in (settings or {}).items():
            data[table] = {**data.get(table, {}), **values} if isinstance(values, dict) else values
            data = {name: value for name, value in data.items() if value is not GONE}
        transport = _Both([provider, *others])
        directory = Directory()
        lines: list[dict[str, Any]] = []
        parts = build(
            config_from_mapping(data),
            clock=clock,
            directory=directory,
            transport=transport,
            audit=Audit(lambda line: lines.append(json.loads(line)), clock=clock),
            wait=clock.wait,
        )
        visitors: list[str | None] = []
        return cls(clock, provider, directory, parts, Gate.from_parts(_app(visitors), parts), lines, visitors)

    def browser(self, origin: str = APP) -> "Browser":
        """A new browser without cookies, which comes to this public URL."""
        return Browser(self, origin)

    def reasons(self) -> list[str]:
        """The reason of every refused sign-in so far."""
        return [line["reason"] for line in self.audit if line["event"] == "login.refused"]


class Browser:
    """Keeps cookies; follows nothing by itself."""

    def __init__(self, scene: Scene, origin: str) -> None:
        self.scene = scene
        self.origin = origin
        self.client = Client(scene.gate)

    def get(self, url: str, headers: Mapping[str, str] = NAVIGATION) -> TestResponse:
        """One GET, by path or by URL."""
        return self.client.get(url.removeprefix(self.origin), base_url=self.origin, headers=dict(headers))

    def post(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str] = SAME_ORIGIN
    ) -> TestResponse:
        """One form sent."""
        return self.client.post(
            path.removeprefix(self.origin),
            base_url=self.origin,
            data=form,
            headers={**NAVIGATION, **headers},
        )

    def cookies(self) -> dict[str, str]:
        """Every cookie, whatever its path."""
        return {cookie.key: cookie.value for cookie in (self.client._cookies or {}).values() if cookie.value}

    def start(self, path: str = "/private") -> str:
        """Open a page as a stranger; returns the authorization URL that this leads to."""
        first = self.get(path)
        assert first.status_code == 302, first.text
        second = self.get(first.headers["Location"])
        assert second.status_code == 303, second.text
        return second.headers["Location"]

    def sign_in(self, path: str = "/private", **lies: Any) -> TestResponse:
        """The whole way; returns the callback's answer."""
        return self.get(self.scene.provider.answer(self.start(path), **lies))

    def has_session(self) -> bool:
        """Whether the app can be reached as somebody."""
        return self.get("/.oidcgate/userinfo", SCRIPT).status_code == 200


class _Both(requests.adapters.BaseAdapter):
    """One adapter for several providers."""

    def __init__(self, providers: list[LyingProvider]) -> None:
        super().__init__()
        self._providers = providers

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        for provider in self._providers:
            if (request.url or "").startswith(provider.issuer + "/"):
                return provider.adapter.send(request, **options)
        raise requests.ConnectionError(f"nobody is at {request.url}")

    def close(self) -> None:
        """Nothing is open."""


def _app(visitors: list[str | None]) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        visitors.append(environ.get("REMOTE_USER"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['PATH_INFO']} {environ.get('REMOTE_USER')}".encode()]

    return app
