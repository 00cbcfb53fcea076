"""Modules about sign-outs that a client asks for. Spec: OpenID Connect RP-Initiated Logout 1.0."""

import json
import secrets
from base64 import urlsafe_b64encode
from functools import partial

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conformance.op import id_token
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run
from tests.conformance.op.sign_out import check_members, registered, signed_in

_NAME = "oidcc-rp-initiated-logout"


@module(f"{_NAME}-discovery-endpoint-verification")
def _discovery(run: Run) -> None:
    check_members(run)


def _comes_back(run: Run, **changes: str | None) -> None:
    with signed_in(run, registered(run.target.logout, "logout")) as person:
        request = person.request(**changes)
        person.came_back(person.sign_out(request), request)
        person.is_over()


module(_NAME)(_comes_back)
module(f"{_NAME}-no-state")(partial(_comes_back, state=None))


def _ends_here(name: str, *absent: str) -> None:
    @module(name)
    def ends_here(run: Run) -> None:
        with signed_in(run, registered(run.target.logout, "logout")) as person:
            request = {name: value for name, value in person.request().items() if name not in absent}
            person.signed_out(person.sign_out(request))
            person.is_over()


_ends_here(f"{_NAME}-no-params", "id_token_hint", "post_logout_redirect_uri", "state")
_ends_here(f"{_NAME}-no-post-logout-redirect-uri", "post_logout_redirect_uri", "state")
_ends_here(f"{_NAME}-only-state", "id_token_hint", "post_logout_redirect_uri")


def _stays(run: Run, **changes: str | None) -> None:
    with signed_in(run, registered(run.target.logout, "logout")) as person:
        person.stayed(person.sign_out(person.request(**changes)))


module(f"{_NAME}-no-id-token-hint")(partial(_stays, id_token_hint=None))


@module(f"{_NAME}-bad-post-logout-redirect-uri")
def _elsewhere(run: Run) -> None:
    client = registered(run.target.logout, "logout")
    elsewhere = f"{client.post_logout_redirect_uri.partition('?')[0]}/{secrets.token_urlsafe(6)}"
    with signed_in(run, client, elsewhere) as person:
        person.stayed(person.sign_out(person.request(post_logout_redirect_uri=elsewhere)))


@module(f"{_NAME}-query-added-to-post-logout-redirect-uri")
def _query_added(run: Run) -> None:
    uri = registered(run.target.logout, "logout").post_logout_redirect_uri
    _stays(run, post_logout_redirect_uri=f"{uri}{'&' if '?' in uri else '?'}foo=bar")


@module(f"{_NAME}-modified-id-token-hint")
def _unsigned_hint(run: Run) -> None:
    with signed_in(run, registered(run.target.logout, "logout")) as person:
        header = urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
        hint = f"{header}.{person.grant.id_token.split('.')[1]}."
        person.stayed(person.sign_out(person.request(id_token_hint=hint)))


@module(f"{_NAME}-bad-id-token-hint")
def _foreign_hint(run: Run) -> None:
    with signed_in(run, registered(run.target.logout, "logout")) as person:
        token = person.grant.id_token
        named = id_token.header(token)
        foreign = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        claims = jwt.decode(token, options={"verify_signature": False})
        # Only the signature is another: it says to be by the key that the provider signs with.
        hint = jwt.encode(claims, foreign, algorithm="RS256", headers={"kid": named.get("kid")})
        person.stayed(person.sign_out(person.request(id_token_hint=hint)))
