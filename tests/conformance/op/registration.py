"""Clients that register themselves, each for one run of a module, and are taken back at its end.

Spec: OIDC Registration 3; RFC 7591 3; RFC 7592 2.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jwt
import requests

from tests.conformance.op.messages import check_error
from tests.conformance.op.outcome import need
from tests.conformance.op.signing_key import SigningKey, key_of
from tests.conformance.op.target import REDIRECT_URIS, Client

if TYPE_CHECKING:
    from tests.conformance.op.run import Answer, Run

_CLAUSE = "OIDC Registration 3.2"
#: What every module relies on; the rest a provider may leave out or replace. Spec: RFC 7591 3.2.1.
_RELIED_ON = ("redirect_uris", "response_types", "grant_types", "token_endpoint_auth_method")
_MAY_BE_MORE = ("response_types", "grant_types")
_SECRET_METHODS = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 300


@dataclass(frozen=True)
class Registered(Client):
    """A client that registered itself.

    Attributes:
        key: what it signs with.
        information: the answer to its registration.
    """

    key: SigningKey
    information: Mapping[str, Any]

    @property
    def id_token_alg(self) -> str:
        return str(self.information.get("id_token_signed_response_alg", "RS256"))

    def with_key(self, key: SigningKey) -> "Registered":
        """The same client after it took another key."""
        return replace(self, key=key)

    def credentials(self, method: str, audience: str) -> tuple[dict[str, str], dict[str, str]]:
        if method not in ("private_key_jwt", "client_secret_jwt"):
            return super().credentials(method, audience)
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        made = self.key.sign(claims) if method == "private_key_jwt" else self._sign_with_secret(claims)
        return {}, {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": made}

    def _sign_with_secret(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self.client_secret, algorithm="HS256")


def ask_to_register(run: "Run", metadata: Mapping[str, Any]) -> "Answer":
    """Call the registration endpoint."""
    assert run.target.registration is not None, "[registration]"
    token = run.target.registration.initial_access_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    endpoint = run.endpoint("registration_endpoint")
    return run.fetch(endpoint, method="POST", json=dict(metadata), headers=headers)


def wanted_metadata(run: "Run", **changes: Any) -> dict[str, Any]:
    """What a client of this run asks for; a change to None leaves a member out.

    Like the certification it asks for no `scope`, so it has those that a client has by default.
    """
    grant_types = ["authorization_code"] if run.variant.gives_code else []
    if run.variant.gives_id_token or run.variant.gives_token:
        grant_types.append("implicit")
    if run.variant.gives_code and "refresh_token" in run.supported("grant_types_supported"):
        grant_types.append("refresh_token")
    standard = {
        "client_name": f"conformance {secrets.token_hex(4)}",
        "redirect_uris": [REDIRECT_URIS[0]],
        "response_types": [run.variant.response_type],
        "grant_types": grant_types,
        "token_endpoint_auth_method": run.variant.client_auth,
        "jwks": key_of("first").jwks(),
        "contacts": ["certification@client.example"],
    }
    return {name: value for name, value in {**standard, **changes}.items() if value is not None}


def register(run: "Run", **changes: Any) -> Registered:
    """Register a client, which has to get what it relies on and what is asked for here; judge the answer.

    Raises:
        Failure: it was refused, or got something else.
    """
    asked = wanted_metadata(run, **changes)
    answer = ask_to_register(run, asked)
    said = answer.json.get("error") if isinstance(answer.json, dict) else answer.text[:200]
    need(answer.status == 201, f"registration answered {answer.status} {said!r}, not 201", _CLAUSE)
    _check_type(answer)
    information: Mapping[str, Any] = answer.json
    client_id = information.get("client_id")
    need(isinstance(client_id, str) and bool(client_id), f"client_id is {client_id!r}", _CLAUSE)
    client = Registered(
        client_id=str(client_id),
        client_secret=str(information.get("client_secret", "")),
        redirect_uri=asked["redirect_uris"][0],
        key=key_of("first"),
        information=information,
    )
    run.registered.append(client)
    _check_secret(information, asked["token_endpoint_auth_method"])
    _check_management(information)
    for name, value in asked.items():
        got = information.get(name)
        same = _is_what_was_asked(name, got, value)
        if name in _RELIED_ON or name in changes:
            need(same, f"{name} is registered as {got!r}, not {value!r}", "RFC 7591 3.2.1")
        else:
            run.warn_unless(got is None or same, f"{name} is registered as {got!r}", "RFC 7591 3.2.1")
    return client


def refused(run: "Run", metadata: Mapping[str, Any], *errors: str) -> str:
    """That a registration is refused as one must be.

    Returns:
        the error, one of these.

    Raises:
        Failure: it is not.
    """
    answer = ask_to_register(run, metadata)
    clause = "OIDC Registration 3.3"
    if answer.status == 201 and isinstance(answer.json, dict):
        client_id, secret = str(answer.json.get("client_id")), str(answer.json.get("client_secret", ""))
        run.registered.append(Registered(client_id, secret, "", key_of("first"), answer.json))
    need(answer.status == 400, f"registration answered {answer.status}, not 400", clause)
    _check_type(answer)
    check_error(answer.json)
    error = str(answer.json.get("error"))
    need(error in errors, f"error is {error!r}, not {' or '.join(errors)}", clause)
    return error


def read_again(run: "Run", client: Registered) -> Mapping[str, Any]:
    """What the provider says of a client when it is asked again, with the token that it gave for that.

    Raises:
        Failure: it gave none, or does not say it.
    """
    clause = "RFC 7592 2.1"
    uri, token = (client.information.get(f"registration_{name}") for name in ("client_uri", "access_token"))
    need(uri is not None, "registration_client_uri is missing", "OIDC Registration 3.2")
    answer = run.fetch(str(uri), headers={"Authorization": f"Bearer {token}"})
    need(answer.status == 200, f"registration_client_uri answered {answer.status}", clause)
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    is_json = content_type == "application/json" and isinstance(answer.json, dict)
    need(is_json, f"registration_client_uri answered as {content_type!r}", clause)
    return dict(answer.json)


def unregister(run: "Run", client: Registered) -> None:
    """Take a client back, where the provider has that; nobody judges how. Spec: RFC 7592 2.3."""
    uri, token = (client.information.get(f"registration_{name}") for name in ("client_uri", "access_token"))
    if isinstance(uri, str) and isinstance(token, str):
        try:
            run.fetch(uri, method="DELETE", headers={"Authorization": f"Bearer {token}"})
        except (requests.RequestException, UnicodeError):
            return


def _check_type(answer: "Answer") -> None:
    content_type = answer.headers.get("Content-Type", "")
    is_json = content_type.partition(";")[0].strip() == "application/json"
    need(is_json, f"registration answered as {content_type!r}", _CLAUSE)
    need(isinstance(answer.json, dict), "registration answered with no JSON object", _CLAUSE)


def _check_secret(information: Mapping[str, Any], method: str) -> None:
    secret = information.get("client_secret")
    if method in _SECRET_METHODS:
        need(isinstance(secret, str) and bool(secret), "client_secret is missing", _CLAUSE)
    if secret is not None:
        ends = information.get("client_secret_expires_at")
        in_time = isinstance(ends, int) and (ends == 0 or ends > time.time())
        need(in_time, f"client_secret_expires_at is {ends!r}", _CLAUSE)


def _check_management(information: Mapping[str, Any]) -> None:
    issued = information.get("client_id_issued_at", 0)
    need(isinstance(issued, int), f"client_id_issued_at is {issued!r}", _CLAUSE)
    uri, token = (information.get(f"registration_{name}") for name in ("client_uri", "access_token"))
    need(
        (uri is None) == (token is None),
        "registration_client_uri and registration_access_token come together or not at all",
        _CLAUSE,
    )
    if uri is not None:
        https = isinstance(uri, str) and uri.startswith("https://")
        need(https, f"registration_client_uri is {uri!r}, not https", _CLAUSE)
        need(isinstance(token, str) and bool(token), f"registration_access_token is {token!r}", _CLAUSE)


def _is_what_was_asked(name: str, got: Any, asked: Any) -> bool:
    """Lists have no order; of what a client may use it may get more. Spec: RFC 7591 3.2.1."""
    if not (isinstance(got, list) and isinstance(asked, list)):
        return bool(got == asked)
    lacking = [item for item in asked if item not in got]
    return not lacking and (name in _MAY_BE_MORE or len(got) == len(asked))
