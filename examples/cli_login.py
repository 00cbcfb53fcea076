"""A program on somebody's own machine that signs them in with their browser, and calls an API as them.

    pip install requests joserfc
    python -m examples.cli_login --issuer http://localhost:9000 --api http://localhost:8200

It has no secret, because whoever runs it could read that. Its code comes back to a port that is open for this
sign-in only (RFC 8252 7.3), and PKCE makes it worth nothing to another program of the machine that sees it.
"""

import argparse
import base64
import hashlib
import secrets
import sys
import time
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

CALLBACK = "/callback"
SECONDS = 300
ALGORITHM = "RS256"
SCOPE = "openid profile orders:read"


class SignInFailed(Exception):
    """What went wrong, in words for the person."""


class Listener(HTTPServer):
    """Waits on a free port of this machine for the browser to come back."""

    def __init__(self, state: str, issuer: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.issuer = issuer
        self.answer: dict[str, str] | None = None

    @property
    def redirect_uri(self) -> str:
        """Registered without the port; which one it is may differ each time."""
        return f"http://127.0.0.1:{self.server_port}{CALLBACK}"

    def wait(self, seconds: float) -> dict[str, str]:
        """The parameters that the provider sent.

        Raises:
            SignInFailed: nobody came in time.
        """
        deadline = time.monotonic() + seconds
        while self.answer is None and (left := deadline - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
        if self.answer is None:
            raise SignInFailed("nobody signed in in time")
        return self.answer


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    # A connection that says nothing must not keep the browser waiting behind it.
    timeout = 5

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        answer = dict(pairs)
        # Whatever else the machine sends here is not the answer to our question, and does not end the wait.
        ours = (
            parts.path == CALLBACK
            and len(answer) == len(pairs)
            and secrets.compare_digest(answer.get("state", "").encode(), self.server.state.encode())
            and answer.get("iss") == self.server.issuer
        )
        if ours:
            self.server.answer = answer
        text = b"You can close this window.\n" if ours else b"Nothing here.\n"
        self.send_response(200 if ours else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the address holds the code."""


def sign_in(issuer: str, client_id: str, api: str | None, *, open_browser: bool) -> dict[str, Any]:
    """Have the person sign in; the answer of the token endpoint, with `claims` of the ID token.

    Raises:
        SignInFailed: they did not, or something is wrong with what came back.
        requests.RequestException: the provider is not reached.
    """
    metadata = _json(requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10))
    if metadata["issuer"] != issuer:
        raise SignInFailed("the provider calls itself by another name")
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    with Listener(state, issuer) as listener:
        digest = hashlib.sha256(verifier.encode()).digest()
        request = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": listener.redirect_uri,
            "scope": SCOPE if api else "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            **({"resource": api} if api else {}),
        }
        url = f"{metadata['authorization_endpoint']}?{urlencode(request)}"
        print(f"Open this address to sign in:\n{url}", flush=True)
        if open_browser:
            webbrowser.open(url)
        answer = listener.wait(SECONDS)
        redirect_uri = listener.redirect_uri
    if "code" not in answer:
        raise SignInFailed(f"{answer.get('error')}: {answer.get('error_description', '')}")
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "code_verifier": verifier,
    }
    tokens = _json(requests.post(metadata["token_endpoint"], data=form, timeout=10))
    published: Any = _json(requests.get(metadata["jwks_uri"], timeout=10))
    keys = KeySet.import_key_set(published)
    try:
        claims = dict(jwt.decode(tokens["id_token"], keys, algorithms=[ALGORITHM]).claims)
    except (JoseError, KeyError, ValueError):
        raise SignInFailed("the provider gave no ID token that can be verified") from None
    expected = {"iss": issuer, "aud": client_id, "nonce": nonce}
    ours = all(claims.get(name) == value for name, value in expected.items())
    if not ours or claims.get("exp", 0) <= time.time():
        raise SignInFailed("the ID token is not the answer to this sign-in")
    return {**tokens, "claims": claims}


def _json(answer: requests.Response) -> dict[str, Any]:
    document = answer.json()
    if not answer.ok:
        raise SignInFailed(f"{document.get('error')}: {document.get('error_description', '')}")
    return dict(document)


def main() -> int:
    """Sign in, say who that is, and call the API if there is one."""
    parser = argparse.ArgumentParser(prog="python -m examples.cli_login", description=__doc__.split("\n")[0])
    parser.add_argument("--issuer", default="http://localhost:9000")
    parser.add_argument("--client-id", default="cli")
    parser.add_argument("--api", help="the API to call, by the audience of its tokens, which is its address")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    options = parser.parse_args()
    try:
        tokens = sign_in(options.issuer, options.client_id, options.api, open_browser=not options.no_browser)
        claims = tokens["claims"]
        print(f"Signed in as {claims.get('preferred_username', claims['sub'])}.")
        if options.api:
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            print(requests.get(f"{options.api}/orders", headers=headers, timeout=10).text)
    except (SignInFailed, requests.RequestException) as error:
        print(f"Not signed in: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
