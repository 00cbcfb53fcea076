"""What the tests of tokens that come through the browser share: the applications, and an eye of their own.

Hashes are made with hashlib and signatures checked against the published keys, so that nothing of the
provider judges what the provider made.
"""

import base64
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import Client as WSGIClient

from tests.provider.sign_in.place import CALLBACK, ISSUER, Page, World, client

API = "https://api.example"
ALWAYS = {"state", "iss"}
ACCESS = {"access_token", "token_type", "expires_in", "scope"}
PEOPLE = [
    {
        "user_name": "alice",
        "user_id": "sub-alice",
        "email": "alice@example.org",
        "email_verified": True,
        "name": "Alice Liddell",
        "password_hash": "$argon2id$v=19$m=64,t=1,p=1$LREnf30qVT8ZTPOC5sYePg"
        "$yxM0lHUqS2nWfLhBu7U+88xMGDIqOdgzfQDuuwZnlRM",
    }
]
CLIENTS = [
    client("spa", auth_method="none", trusted=True, flows=["implicit"]),
    client("erp", trusted=True, flows=["implicit"]),
    client("both", trusted=True, flows=["authorization_code", "implicit", "hybrid", "refresh_token"]),
    client("hybrid", trusted=True, flows=["hybrid", "refresh_token"], scopes=["*"]),
    client("asked", flows=["implicit", "hybrid"]),
    client("code", trusted=True),
]


def front_world(folder: Path, **changes: Any) -> World:
    """A provider whose applications get tokens through the browser, and one API with tokens that are JWTs."""
    document = {
        "clients": CLIENTS,
        "users": PEOPLE,
        "scopes": [{"value": "orders"}],
        "resources": [
            {"audience": API, "scopes": ["orders"], "access_token_format": "jwt", "include": ["oidc_scopes"]}
        ],
        **changes,
    }
    return World.make(folder, **document)


def verified(world: World, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that a published key signed with RS256."""
    document = WSGIClient(world.provider).get("/jwks", base_url=ISSUER).get_json()
    decoded = jwt.decode(token, KeySet.import_key_set(document), algorithms=["RS256"])
    return dict(decoded.header), dict(decoded.claims)


def half_hash(value: str) -> str:
    """`at_hash` and `c_hash` of RS256. Spec: OIDC Core 3.1.3.6."""
    digest = hashlib.sha256(value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def sent_in(page: Page) -> str:
    """How an answer travels; what may not be in a URL's query is not there, and nothing is kept."""
    assert page.response.headers["Cache-Control"] == "no-store"
    if page.main_id == "page-form-post":
        assert (page.status, page.action, page.location) == (200, CALLBACK, None)
        # The origin at most is told to the application, never the address that was asked for.
        assert page.response.headers["Referrer-Policy"] == "strict-origin"
        return "form_post"
    assert page.location is not None
    assert page.response.headers["Referrer-Policy"] == "no-referrer"
    assert page.text == ""
    return "fragment" if page.location.startswith(f"{CALLBACK}#") else "query"


def nowhere_else(
    world: World, page: Page, secrets: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """No token or code is in a query, an event, a log line or a header but the one fragment."""
    assert caplog.handler.level <= logging.DEBUG
    written = "".join([*world.lines, caplog.text])
    headers = {name: value for name, value in page.response.headers.items() if name != "Location"}
    query = "" if page.location is None else urlsplit(page.location).query
    for name, value in secrets.items():
        for place in (written, query, str(headers)):
            assert value not in place, name
