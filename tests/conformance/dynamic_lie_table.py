"""The lies to clients that register themselves: module by module, and what the failure has to name."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from tests.conformance.lie_table import CODE_ONLY, DISCOVERY, Row
from tests.conformance.lies import (
    GONE,
    answers,
    asserts,
    error_pages_with,
    errors_of,
    header_of,
    hears,
    ignores,
    redirects_anywhere,
    refreshes,
    refuses,
    rewrites,
    says,
    sends,
    shows_a_page,
    status_of,
)
from tests.conformance.lies_everywhere import ELSE
from tests.conformance.lies_to_clients import (
    answers_forgeries,
    believes_request_objects,
    forgets,
    forgets_the_fragment,
    later_keys,
    pages_with,
    redirects_to_what_is_registered,
    refuses_grant,
    registers,
    says_again,
    shows_errors_as,
    stays_the_same,
    userinfo_asserts,
)
from tests.conformance.lying_proxy import Lie, Memory
from tests.conformance.op.target import REDIRECT_URIS

Keys = list[dict[str, Any]]
_ALIEN = "http://id.example/clients/1"

ROWS: dict[str, Row] = {}


def add(module: str, lies: dict[str, tuple[Lie, str]], client_auth: str = "private_key_jwt") -> None:
    for name, (lie, names) in lies.items():
        ROWS[f"{module}-{name}"] = Row(module, lie, names, registers=True, client_auth=client_auth)


def one_by_one(values: Iterable[str]) -> Callable[[object], str]:
    """A claim that is the next of these in each ID token."""
    turns = itertools.cycle(values)
    return lambda _: next(turns)


add("oidcc-idtoken-rs256", {
    "registers-another": (says("registration", id_token_signed_response_alg="ES256"), "as 'ES256'"),
    "signs-with-another": (registers({"id_token_signed_response_alg": "ES256"}), "signed with 'ES256'"),
    "kid-missing": (asserts(header={"kid": None}), "kid"),
})  # fmt: skip
add("oidcc-idtoken-unsigned", {
    "signs": (forgets("id_token_signed_response_alg"), "signed with 'RS256', not none"),
    "a-signature": (says("token", id_token=lambda old: f"{old}c2ln"), "has a signature"),
    "refused": (answers("registration", 400), "answered 400"),
})  # fmt: skip
add("oidcc-userinfo-rs256", {
    "not-offered": (says("metadata", userinfo_signing_alg_values_supported=["ES256"]), "lacks RS256"),
    "unsigned": (forgets("userinfo_signed_response_alg"), "'application/json'"),
    "another-algorithm": (registers({"userinfo_signed_response_alg": "ES256"}), "userinfo is signed with"),
    "key-unknown": (userinfo_asserts(serve=False), "no key .* for userinfo"),
    "gone": (answers("userinfo", 401), "userinfo answered 401"),
    "sub": (userinfo_asserts(sub=ELSE), "sub of userinfo"),
    "iss": (userinfo_asserts(iss=GONE), "iss of userinfo is None"),
    "aud": (userinfo_asserts(aud="another-client"), "aud of userinfo is 'another-client'"),
    "nonce": (userinfo_asserts(nonce="x"), "has a nonce"),
    "exp": (userinfo_asserts(exp=1_700_000_000), "exp of userinfo"),
    "iat": (userinfo_asserts(iat=9_999_999_999), "iat of userinfo"),
    "nbf": (userinfo_asserts(nbf="now"), "nbf of userinfo"),
    "a-claim-of-another-type": (userinfo_asserts(email_verified="yes"), "email_verified is 'yes'"),
})  # fmt: skip
add("oidcc-ensure-redirect-uri-in-authorization-request", {
    # Version 6 takes the one that is registered.
    "followed": (Lie(), "the answer gives"),
    "other-error": (refuses("redirect_uri", present=False, error="server_error"), "'server_error'"),
    "status-200": (shows_a_page(200, "redirect_uri", present=False), "no error but a page with status 200"),
})  # fmt: skip
add("oidcc-redirect-uri-query-OK", {
    "query-lost": (sends(foo=GONE), "lost its 'foo'"),
    "refused": (answers("registration", 400, {"error": "invalid_redirect_uri"}), "answered 400"),
})  # fmt: skip
add("oidcc-redirect-uri-query-mismatch", {
    "redirects": (redirects_anywhere(), "was followed"),
    "ignores-it": (redirects_to_what_is_registered(f"{REDIRECT_URIS[0]}?foo=bar"), "was followed"),
    "status-404": (error_pages_with(404), "status 404"),
})  # fmt: skip
add("oidcc-redirect-uri-query-added", {
    "redirects": (redirects_anywhere(), "was followed"),
    "ignores-it": (redirects_to_what_is_registered(REDIRECT_URIS[0]), "was followed"),
    "status-200": (error_pages_with(200), "no error but a page with status 200"),
})  # fmt: skip
add("oidcc-redirect-uri-regfrag", {
    "registered": (forgets_the_fragment(), "answered 201, not 400"),
    "other-error": (errors_of("registration", error="invalid_client_metadata"), "'invalid_client_metadata'"),
    "status-403": (status_of("registration", 403), "answered 403"),
    "html": (header_of("registration", "Content-Type", "text/html"), "'text/html'"),
    "description": (errors_of("registration", error_description="não"), "error_description"),
})  # fmt: skip
add(DISCOVERY, {
    "registration": (says("metadata", registration_endpoint=GONE), "registration_endpoint is missing"),
    "response-types": (says("metadata", response_types_supported=["code", "id_token"]), "lacks id_token t"),
    "assertions": (
        says("metadata", token_endpoint_auth_signing_alg_values_supported=["ES256"]),
        "auth_signing_alg_values_supported lacks RS256",
    ),
})  # fmt: skip
add("oidcc-server", {
    "method-not-announced": (
        says("metadata", token_endpoint_auth_methods_supported=["client_secret_basic"]),
        "private_key_jwt is not in",
    ),
    "assertion-refused": (answers("token", 401, {"error": "invalid_client"}), "answered 401"),
    "registration-refused": (answers("registration", 401, {"error": "invalid_token"}), "answered 401"),
    "status-200": (status_of("registration", 200), "answered 200"),
    "html": (header_of("registration", "Content-Type", "text/html"), "'text/html'"),
    "no-object": (answers("registration", 201, [1]), "no JSON object"),
    "client-id": (says("registration", client_id=GONE), "client_id is None"),
    "client-id-issued-at": (says("registration", client_id_issued_at="now"), "client_id_issued_at is 'now'"),
    "secret-without-end": (says("registration", client_secret="s"), "client_secret_expires_at is None"),
    "secret-that-ended": (
        says("registration", client_secret="s", client_secret_expires_at=1_700_000_000),
        "client_secret_expires_at is 17",
    ),
    "token-without-uri": (says("registration", registration_client_uri=GONE), "come together"),
    "uri-http": (says("registration", registration_client_uri=_ALIEN), "not https"),
    "token-a-number": (says("registration", registration_access_token=7), "registration_access_token is 7"),
    "another-redirect-uri": (
        says("registration", redirect_uris=[REDIRECT_URIS[1]]),
        "redirect_uris is registered as",
    ),
    "more-redirect-uris": (
        says("registration", redirect_uris=list(REDIRECT_URIS)),
        "redirect_uris is registered as",
    ),
    "no-grant-type": (says("registration", grant_types=["implicit"]), "grant_types is registered as"),
    "no-response-type": (says("registration", response_types=GONE), "response_types is registered as None"),
    "another-method": (
        says("registration", token_endpoint_auth_method="client_secret_basic"),
        "token_endpoint_auth_method is registered as",
    ),
    "another-name": (says("registration", client_name=ELSE), "client_name is registered as"),
})  # fmt: skip
for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt"):
    words = method.replace("_", "-")
    add("oidcc-server", {
        f"{words}-without-secret": (says("registration", client_secret=GONE), "client_secret is missing"),
        f"{words}-with-another-secret": (says("registration", client_secret=ELSE * 3), "'invalid_client'"),
    }, method)  # fmt: skip
add("oidcc-registration-logo-uri", {
    "not-shown": (rewrites("<img", "<span"), "does not show the logo"),
    "another": (rewrites("logo.png", "logo.gif"), "does not show the logo"),
    "forbidden": (pages_with("Content-Security-Policy", "img-src 'self'; x"), "forbids its own logo"),
    "forbidden-with-all-else": (pages_with("Content-Security-Policy", "default-src 'none'"), "forbids"),
    "no-sign-in-page": (answers("authorization", 200), "no sign-in page"),
    "nobody-asked": (refuses("client_id"), "nobody was asked to sign in"),
})  # fmt: skip
for member, text in {"policy": "Policy", "tos": "Terms"}.items():
    add(f"oidcc-registration-{member}-uri", {
        "not-shown": (rewrites("<a href", "<a data-href"), f"no link to {member}_uri"),
        "another": (rewrites(f"{member}_uri.html", "other.html"), f"no link to {member}_uri"),
        "without-text": (rewrites(f"{text}</a>", "</a>"), "has no text"),
    })  # fmt: skip
add("oidcc-registration-jwks-uri", {
    "not-read": (answers("token", 401, {"error": "invalid_client"}), "answered 401"),
    "forgotten": (says("registration", jwks_uri=GONE), "jwks_uri is registered as None"),
})  # fmt: skip
add("oidcc-registration-sector-uri", {
    "refused": (answers("registration", 400, {"error": "invalid_client_metadata"}), "answered 400"),
    "not-read": (forgets("subject_type", "sector_identifier_uri"), "was not read"),
    "two-in-one-sector": (asserts(sub=one_by_one("abcd")), "two clients of a sector"),
    "one-in-two-sectors": (asserts(sub="a"), "clients of two sectors"),
    "public": (asserts(sub=one_by_one("aabb")), "a pairwise sub is the public one"),
})  # fmt: skip
add("oidcc-registration-sector-bad", {
    "not-read": (forgets("subject_type", "sector_identifier_uri"), "answered 201, not 400"),
    "other-error": (errors_of("registration", error="server_error"), "'server_error'"),
    "the-other-error": (errors_of("registration", error="invalid_redirect_uri"), "not invalid_client_meta"),
})  # fmt: skip


def without_the_last(keys: Keys, _: Memory) -> Keys:
    """The key that signed until now is gone."""
    return [keys[0], *keys[2:]]


def without_another(keys: Keys, _: Memory) -> Keys:
    """A key that signs nothing here is gone."""
    return [key for key in keys if key["kid"] != "ec"]


def renamed(keys: Keys, _: Memory) -> Keys:
    """The new key bears the name of the one before it."""
    new, old, *others = keys
    return [{**new, "kid": old["kid"]}, *others]


def exchanged(keys: Keys, memory: Memory) -> Keys:
    """The new key is another than the one that signs."""
    return [memory.public_key(), *keys[1:]]


add("oidcc-server-rotate-keys", {
    "no-new-key": (stays_the_same("jwks"), "no new key"),
    "signing-key-lost": (later_keys(without_the_last), "no key 'rsa"),
    "other-key-lost": (later_keys(without_another), r"lost its old keys: \['ec'\]"),
    "old-name": (later_keys(renamed), "has the name of an old one"),
    "another-signs": (later_keys(exchanged), "no key 'rsa-"),
})  # fmt: skip
add("oidcc-refresh-token-rp-key-rotation", {
    "no-refresh-token": (says("token", refresh_token=GONE), "no refresh token came"),
    "new-key-unknown": (refuses_grant("refresh_token"), "answered 401 'invalid_client'"),
    "access-token-dead": (refreshes(access_token=ELSE), "answers 401 to the refreshed"),
    "not-announced": (
        CODE_ONLY + registers({"grant_types": ["authorization_code", "refresh_token"]}),
        "not in grant_types_supported",
    ),
})  # fmt: skip
add("oidcc-request-uri-unsigned", {
    "not-offered": (says("metadata", request_uri_parameter_supported=False), "supported is False"),
    "ignored": (ignores("request_uri"), "state is None"),
    "page": (shows_a_page(400, "request_uri"), "no answer came to the client"),
})  # fmt: skip
add("oidcc-request-uri-signed-rs256", {
    "not-offered": (says("metadata", request_uri_parameter_supported=False), "supported is False"),
    "algorithm": (says("metadata", request_object_signing_alg_values_supported=["none"]), "lacks RS256"),
    "ignored": (ignores("request_uri"), "state is None"),
    "forged": (
        forgets("request_object_signing_alg") + believes_request_objects(),
        "a forged request object was followed",
    ),
    "other-error": (answers_forgeries("server_error"), "'server_error'"),
    "status-500": (shows_errors_as(500), "no error but a page with status 500"),
})  # fmt: skip
add("oidcc-ensure-request-object-with-redirect-uri", {
    "ignored": (ignores("request"), "is supported and came to"),
    "redirects": (redirects_anywhere(), "unregistered redirect URI was followed"),
})  # fmt: skip
add("oidcc-refresh-token", {"refused": (refuses_grant("refresh_token"), "answered 401")})
add("oidcc-ensure-client-assertion-with-iss-aud-succeeds", {
    "refused": (refuses_grant("authorization_code"), "whose audience is the issuer is refused"),
    "other-error": (refuses_grant("authorization_code", 400, "invalid_request"), "400 'invalid_request'"),
    "no-code": (sends(code=GONE), "no code came"),
    "another-nonce": (hears({"nonce": ELSE}), "nonce is"),
})  # fmt: skip
add("oidcc-3rd_party-init-login", {
    "lost": (says("registration", initiate_login_uri=GONE), "initiate_login_uri is registered as None"),
    "another": (says("registration", initiate_login_uri=_ALIEN), "initiate_login_uri is registered as"),
    "lost-when-read": (forgets("initiate_login_uri"), "initiate_login_uri is None when it is read"),
    "another-when-read": (says_again(initiate_login_uri=_ALIEN), "initiate_login_uri is 'http"),
    "not-to-be-read": (
        says("registration", registration_client_uri=GONE, registration_access_token=GONE),
        "registration_client_uri is missing",
    ),
    "refuses-to-say": (says_again(401), "registration_client_uri answered 401"),
})  # fmt: skip
add("oidcc-3rd_party-init-login-nohttps", {
    "accepted": (forgets("initiate_login_uri"), "registration answered 201, not 400"),
    "other-error": (errors_of("registration", error="invalid_redirect_uri"), "'invalid_redirect_uri'"),
})  # fmt: skip
