"""A proxy over TLS in front of an honest provider, which can lie in the provider's name.

It sees every question and every answer, may change either, or answer by itself. ID tokens that it changed it
signs with a key of its own, which it serves as the provider's. Which lies there are is `lies`.
"""

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conformance.op.browser import FORM, Pairs, forms_of
from tests.support.tls import Certificate

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
_KEY_ID = "the-key-of-the-liar"
#: Where the peer has its endpoints, by the words in which lies speak of them.
PATHS = {
    "authorization": "/auth",
    "token": "/token",
    "userinfo": "/me",
    "jwks": "/jwks",
    "metadata": "/.well-known/openid-configuration",
    "registration": "/reg",
    "end_session": "/session/end",
    "end_session_confirm": "/session/end/confirm",
    "check_session": "/session/check",
    # What the provider is told to be a client's: it leads on to the client.
    "notice": "/notice",
}


class HangUp(Exception):
    """Answer nothing, and end the connection."""


@dataclass
class Question:
    """A request: where it goes, and its parameters."""

    method: str
    path: str
    query: Pairs
    headers: dict[str, str]
    form: Pairs
    #: What is no form.
    body: bytes = b""

    def is_for(self, endpoint: str) -> bool:
        return self.path == PATHS[endpoint]

    @property
    def parameters(self) -> dict[str, str]:
        return dict([*self.query, *self.form])

    def change(self, changes: dict[str, str | None]) -> None:
        """Set parameters where they are sent; None takes one away."""
        kept = [(name, value) for name, value in (self.form or self.query) if name not in changes]
        changed = tuple(kept + [(name, value) for name, value in changes.items() if value is not None])
        if self.form:
            self.form = changed
        else:
            self.query = changed


@dataclass
class Told:
    """A response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, status: int, document: Any) -> "Told":
        """A JSON response that nobody may keep."""
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        return cls(status, headers, json.dumps(document).encode())

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def set_header(self, name: str, value: str) -> None:
        kept = [(key, old) for key, old in self.headers if key.lower() != name.lower()]
        self.headers = [*kept, (name, value)]


@dataclass
class FrontAnswer:
    """What a response sends to a client through the browser."""

    uri: str
    place: str
    pairs: Pairs

    def write(self, told: Told) -> None:
        """Make the response send this."""
        if self.place == "form":
            inputs = "".join(
                f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
                for name, value in self.pairs
            )
            page = f'<!doctype html><form method="post" action="{escape(self.uri)}">{inputs}</form>'
            told.status, told.body = 200, page.encode()
            told.headers = [pair for pair in told.headers if pair[0].lower() != "location"]
            told.set_header("Content-Type", "text/html; charset=utf-8")
        else:
            told.status = 303
            mark = "#" if self.place == "fragment" else "?"
            told.set_header("Location", f"{self.uri}{mark}{urlencode(self.pairs)}")


@dataclass
class Memory:
    """What the liar knows: whose name it bears, its key, the clients, and what it saw since the lie began.

    Attributes:
        honest: asks who is behind it.
    """

    issuer: str
    key: rsa.RSAPrivateKey
    clients: Sequence[str]
    honest: Callable[[Question], Told]
    counted: Counter[str] = field(default_factory=Counter)
    kept: dict[str, Any] = field(default_factory=dict)

    def front_answer(self, told: Told) -> FrontAnswer | None:
        """What the response sends to a client, if it does."""
        target = urlsplit(told.header("Location"))
        uri = f"{target.scheme}://{target.netloc}{target.path}"
        if uri in self.clients:
            place = "fragment" if target.fragment else "query"
            return FrontAnswer(
                uri, place, tuple(parse_qsl(target.fragment or target.query, keep_blank_values=True))
            )
        if "html" in told.header("Content-Type"):
            for form in forms_of(told.body.decode()):
                if form.action in self.clients:
                    return FrontAnswer(form.action, "form", tuple(form.fields))
        return None

    def resigned(self, token: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> str:
        """The ID token with its header and claims changed, signed by the liar."""
        claims = jwt.decode(token, options={"verify_signature": False})
        header: dict[str, Any] = {"alg": "RS256", "kid": _KEY_ID}
        change(header, claims)
        signing: Any = {"none": None, "HS256": b"some-secret-or-other-of-thirty-two-bytes-or-more"}.get(
            header["alg"], self.key
        )
        made = jwt.encode(
            claims, signing, algorithm=header["alg"], headers={k: v for k, v in header.items() if v}
        )
        self.kept[made] = token
        return made

    def public_key(self) -> dict[str, Any]:
        """The liar's key as a member of a JWKS."""
        algorithm = jwt.algorithms.RSAAlgorithm
        return {
            **algorithm.to_jwk(self.key.public_key(), as_dict=True),
            "kid": _KEY_ID,
            "use": "sig",
            "alg": "RS256",
        }


Ask = Callable[[Question, Memory], Told | None]
Tell = Callable[[Question, Told, Memory], None]


@dataclass(frozen=True)
class Lie:
    """What to do with questions before they are asked, and with answers before they are told."""

    ask: Sequence[Ask] = ()
    tell: Sequence[Tell] = ()

    def __add__(self, other: "Lie") -> "Lie":
        return Lie((*self.ask, *other.ask), (*self.tell, *other.tell))


@dataclass
class LyingProxy:
    """A running proxy; with an empty lie it is honest.

    Attributes:
        told: where a client is that is told of sign-outs, and the file with the authority of its certificate.
    """

    issuer: str
    upstream_port: int
    clients: Sequence[str]
    key: rsa.RSAPrivateKey
    told: tuple[str, str] | None = None
    lie: Lie = field(default_factory=Lie)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.tells(Lie())

    def tells(self, lie: Lie) -> None:
        """From now on it tells this lie, and has seen nothing yet."""
        self.lie, self.memory = lie, Memory(self.issuer, self.key, self.clients, self._honest)

    def answer(self, question: Question) -> Told:
        """Ask the honest provider, or not, and tell."""
        told: Told | None = None
        for ask in self.lie.ask:
            told = told or ask(question, self.memory)
        told = told or self._honest(question)
        for tell in self.lie.tell:
            tell(question, told, self.memory)
        return told

    def _honest(self, question: Question) -> Told:
        # What was signed by the liar is unknown to the honest one.
        question.change(
            {n: self.memory.kept.get(v, v) for n, v in question.parameters.items() if n == "id_token_hint"}
        )
        body = urlencode(question.form).encode() or question.body
        target = f"{question.path}?{urlencode(question.query)}" if question.query else question.path
        headers = {name: value for name, value in question.headers.items() if name.lower() not in _HOP_BY_HOP}
        # A provider may be asked without saying which coding of the answer would be welcome.
        headers = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": urlsplit(self.issuer).netloc}
        sends = question.method != "GET"
        if sends:
            headers |= {"Content-Length": str(len(body))}
        connection: HTTPConnection = HTTPConnection("127.0.0.1", self.upstream_port, timeout=30)
        if question.is_for("notice"):
            assert self.told is not None
            client = urlsplit(self.told[0])
            trust = ssl.create_default_context(cafile=self.told[1])
            connection = HTTPSConnection(str(client.hostname), client.port, timeout=30, context=trust)
            target, headers["Host"] = target.replace(question.path, client.path, 1), client.netloc
        try:
            connection.request(question.method, target, body if sends else None, headers)
            response = connection.getresponse()
            kept = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
            return Told(response.status, kept, response.read())
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: browsers end connections that they do not need any more."""


def _handler(proxy: LyingProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go out together.
        wbufsize = -1
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            encoded = self.headers.get("Content-Type", "").startswith(FORM)
            form = tuple(parse_qsl(body.decode(), keep_blank_values=True)) if encoded else ()
            query = tuple(parse_qsl(parts.query, keep_blank_values=True))
            rest = b"" if encoded else body
            question = Question(self.command, parts.path, query, dict(self.headers.items()), form, rest)
            try:
                told = proxy.answer(question)
            except HangUp:
                self.close_connection = True
                return
            self.send_response(told.status)
            for name, value in told.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)
            self.wfile.flush()

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing: a test that fails says what came."""

    return Handler


@contextmanager
def lying_proxy(
    port: int,
    certificate: Certificate,
    upstream_port: int,
    clients: Sequence[str],
    told: tuple[str, str] | None = None,
) -> Iterator[LyingProxy]:
    """Serve at `https://localhost` until the block ends, honest at first; the rest is `LyingProxy`'s."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    proxy = LyingProxy(f"https://localhost:{port}", upstream_port, clients, key, told)
    server = _Server(("127.0.0.1", port), _handler(proxy))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    # Each connection shakes hands in its own thread.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
