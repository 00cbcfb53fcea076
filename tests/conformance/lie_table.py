"""Module by module, the lies that it has to see, and what its failure has to name."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.conformance.lies import (
    GONE,
    TIME_OF_THE_FIRST,
    answers,
    asserts,
    error_pages_with,
    errors_of,
    header_of,
    hears,
    ignores,
    keys,
    redirects_anywhere,
    refreshes,
    refuses,
    repeats,
    says,
    sends,
    shows_a_page,
    status_of,
    supplies,
    takes_anybodys,
)
from tests.conformance.lies_everywhere import ELSE, FRONT, WHOLE
from tests.conformance.lying_proxy import Lie
from tests.conformance.op.plans import DYNAMIC, Entry
from tests.conformance.op.variant import Variant

REQUEST_OBJECT = "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported"
REQUEST_URI = "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported"
ACR_VALUES = "oidcc-ensure-request-with-acr-values-succeeds"
DISCOVERY = "oidcc-discovery-endpoint-verification"
PROMISED = says(
    "metadata", request_parameter_supported=True, request_object_signing_alg_values_supported=["none"]
)
#: One grant type where there should be more.
CODE_ONLY = says("metadata", grant_types_supported=["authorization_code"])


@dataclass(frozen=True)
class Row:
    """A module, the lie, and what the failure has to name."""

    module: str
    lie: Lie
    names: str
    response_type: str = "code"
    response_mode: str = "default"
    registers: bool = False
    client_auth: str = "private_key_jwt"

    @property
    def entry(self) -> Entry:
        if self.registers:
            return Entry("lies", replace(DYNAMIC, client_auth=self.client_auth), self.module)
        method = (
            "client_secret_post" if self.module.endswith("-client-secret-post") else "client_secret_basic"
        )
        return Entry("lies", Variant(self.response_type, self.response_mode, method), self.module)


def added(old: object) -> int:
    assert isinstance(old, int)
    return old + 10


def ever_later() -> Callable[[object], int]:
    """A time that moves with each ID token."""
    times = itertools.count(1_700_000_000)
    return lambda _: next(times)


def row(module: str, lie: Lie, names: str, response_type: str = "code", mode: str = "default") -> Row:
    return Row(module, lie, names, response_type, mode)


ROWS: dict[str, Row] = {
    **{f"oidcc-server-{name}": row("oidcc-server", lie, names) for name, (lie, names) in WHOLE.items()},
    **{
        f"oidcc-server-{name}": row("oidcc-server", lie, names, response_type, mode)
        for name, (response_type, mode, lie, names) in FRONT.items()
    },
}


def add(
    module: str, lies: dict[str, tuple[Lie, str]], response_type: str = "code", mode: str = "default"
) -> None:
    for name, (lie, names) in lies.items():
        ROWS[f"{module}-{name}"] = row(module, lie, names, response_type, mode)


add("oidcc-server-client-secret-post", {
    "needs-basic": (answers("token", 401, header="authorization"), "answered 401"),
})  # fmt: skip
add("oidcc-response-type-missing", {
    "guesses-code": (supplies("response_type", "code"), "error is None"),
    "other-error": (refuses("response_type", present=False, error="server_error"), "'server_error'"),
    "state": (sends(state=ELSE), "state is"),
    "as-json": (answers("authorization", 400), "nothing for a person"),
    "in-the-fragment": (sends(place="fragment"), "error is None"),
    "page-with-status-500": (shows_a_page(500, "response_type", present=False), "no error but .* status 500"),
})  # fmt: skip
add("oidcc-idtoken-signature", {
    "ps256": (asserts(header={"alg": "PS256"}), "'PS256'"),
    "kid-missing": (asserts(header={"kid": None}), "kid"),
})  # fmt: skip
add("oidcc-idtoken-unsigned", {
    "unsigned": (asserts(header={"alg": "none", "kid": None}), "'none'"),
    "offered": (says("metadata", id_token_signing_alg_values_supported=["RS256", "none"]), "unsigned"),
})  # fmt: skip
add("oidcc-userinfo-get", {
    "sub": (says("userinfo", sub=ELSE), "sub of userinfo"),
    "html": (header_of("userinfo", "Content-Type", "text/html"), "'text/html'"),
    "verified-a-string": (says("userinfo", email_verified="true"), "email_verified is 'true'"),
    "updated-at-a-string": (says("userinfo", updated_at="2024-01-01"), "updated_at is"),
    "birthdate": (says("userinfo", birthdate="31/01/1990"), "birthdate is"),
    "picture": (says("userinfo", picture="alice.png"), "picture is"),
    "null": (says("userinfo", name=None), "name is None"),
    "empty": (says("userinfo", nickname=""), "nickname is ''"),
    "gone": (answers("userinfo", 405, method="GET"), "answered 405 to get"),
})  # fmt: skip
add(
    "oidcc-userinfo-post-header",
    {"gone": (answers("userinfo", 405, method="POST"), "answered 405 to post-header")},
)
add("oidcc-userinfo-post-body", {
    "needs-a-header": (answers("userinfo", 401, header="authorization"), "answered 401 to post-body"),
})  # fmt: skip
add("oidcc-ensure-request-without-nonce-succeeds-for-code-flow", {
    "refused": (refuses("nonce", present=False), "refused: invalid_request"),
    "invented": (supplies("nonce", "invented"), "nonce is 'invented'"),
})  # fmt: skip
add("oidcc-ensure-request-without-nonce-fails", {
    "accepted": (supplies("nonce", "invented"), "the answer gives"),
    "other-error": (refuses("nonce", present=False, error="server_error"), "'server_error'"),
}, "id_token")  # fmt: skip
for scope, claim in {
    "profile": "nickname",
    "email": "email",
    "address": "address",
    "phone": "phone_number",
}.items():
    unasked: dict[str, Any] = {"email": "a@b.example"} if scope != "email" else {"name": "x"}
    told: dict[str, Any] = {claim: {"country": "FR"} if claim == "address" else "x"}
    add(f"oidcc-scope-{scope}", {
        "claim-missing": (says("userinfo", **{claim: GONE}), f"missing: .*{claim}"),
        "claim-in-the-id-token": (asserts(**told), f"ID token has .*{claim}"),
        "claim-unasked": (says("userinfo", **unasked), "no scope asked for"),
    })  # fmt: skip
add("oidcc-scope-address", {
    "a-string": (says("userinfo", address="1 Main Street"), "address is"),
    "another-member": (says("userinfo", address={"city": "Paris"}), "address is"),
})  # fmt: skip
add(
    "oidcc-scope-phone",
    {"verified-a-number": (says("userinfo", phone_number_verified=1), "phone_number_verified is 1")},
)
add("oidcc-scope-all", {"claim-missing": (says("userinfo", locale=GONE), "missing: .*locale")})
add("oidcc-scope-email", {"not-in-the-id-token": (asserts(email=GONE), "missing: .*email")}, "id_token")
add("oidcc-alternate-happy-flow", {
    "order-matters": (refuses("scope", "email openid", error="invalid_scope"), "refused: invalid_scope"),
})  # fmt: skip
for harmless, parameter in {
    "oidcc-display-page": "display",
    "oidcc-display-popup": "display",
    "oidcc-ensure-request-with-unknown-parameter-succeeds": "extra",
    "oidcc-ui-locales": "ui_locales",
    "oidcc-claims-locales": "claims_locales",
    "oidcc-login-hint": "login_hint",
    ACR_VALUES: "acr_values",
    "oidcc-claims-essential": "claims",
    "oidcc-ensure-request-with-valid-pkce-succeeds": "code_challenge",
    "oidcc-max-age-10000": "max_age",
    "oidcc-id-token-hint": "id_token_hint",
}.items():
    add(harmless, {"refused": (refuses(parameter), "refused: invalid_request")})
add(ACR_VALUES, {
    "another": (asserts(acr="0"), "acr is '0'"),
    "missing": (asserts(acr=GONE), "acr is None"),
})  # fmt: skip
add("oidcc-prompt-login", {
    "not-asked": (ignores("prompt"), "not asked to sign in again"),
    "auth-time-stays": (asserts(auth_time=TIME_OF_THE_FIRST), "auth_time is"),
    "another-person": (asserts(from_the=2, sub=ELSE), "sub is 'something-else'"),
})  # fmt: skip
add("oidcc-prompt-none-not-logged-in", {
    "asks": (ignores("prompt"), "the person was asked"),
    "other-error": (sends(error="access_denied"), "'access_denied'"),
    "gives-a-code": (sends(error=GONE, code="x"), "gives .*code"),
    "description": (sends(error_description='say "no"'), "error_description"),
    "uri": (sends(error_uri="errors.html"), "error_uri is"),
    "hint": (sends(hint="sign in"), "the error has .*hint"),
    "long-state": (sends(state=lambda old: str(old)[:64]), "state is"),
})  # fmt: skip
add("oidcc-prompt-none-logged-in", {
    "asks": (hears({"prompt": "login"}), "the person was asked"),
    "auth-time-moves": (asserts(auth_time=ever_later()), "auth_time is"),
    "another-person": (asserts(from_the=2, sub=ELSE), "sub is 'something-else'"),
})  # fmt: skip
add("oidcc-max-age-1", {
    "not-asked": (ignores("max_age"), "not asked to sign in again|auth_time is missing"),
    "auth-time-missing": (asserts(auth_time=GONE), "auth_time is missing"),
    "auth-time-stays": (asserts(auth_time=TIME_OF_THE_FIRST), "auth_time is"),
})  # fmt: skip
add("oidcc-max-age-10000", {
    "asks": (hears({"max_age": "0"}), "the person was asked"),
    "auth-time-missing": (asserts(auth_time=GONE), "auth_time is missing"),
    "auth-time-moves": (asserts(from_the=2, auth_time=added), "auth_time is"),
})  # fmt: skip
add("oidcc-id-token-hint", {
    "asks": (hears({"prompt": "login"}), "the person was asked"),
    "another-person": (asserts(from_the=2, sub=ELSE), "sub is 'something-else'"),
})  # fmt: skip
add("oidcc-codereuse", {
    "works-twice": (repeats("token", "code"), "answered 200"),
    "other-error": (errors_of("token", error="invalid_request"), "'invalid_request'"),
    "description": (errors_of("token", error_description="não"), "error_description"),
})  # fmt: skip
add("oidcc-codereuse-30seconds", {
    "works-twice": (repeats("token", "code"), "answered 200"),
    "other-error": (errors_of("token", error="invalid_request"), "'invalid_request'"),
    "token-lives": (answers("userinfo", 200, {"sub": "alice"}), "answers 200 to the token of a code"),
})  # fmt: skip
add("oidcc-ensure-registered-redirect-uri", {
    "redirects": (redirects_anywhere(), "unregistered redirect URI was followed"),
    "status-200": (error_pages_with(200), "no error but a page with status 200"),
    "status-404": (error_pages_with(404), "status 404"),
})  # fmt: skip
add(
    "oidcc-ensure-post-request-succeeds",
    {"get-only": (answers("authorization", 405, method="POST"), "status 405")},
)
add(REQUEST_URI, {
    "page": (shows_a_page(400, "request_uri"), "no answer came to the client"),
    "ignored": (ignores("request_uri"), "error is None"),
    "other-error": (sends(error="invalid_request"), "'invalid_request'"),
})  # fmt: skip
add(REQUEST_OBJECT, {
    "page": (shows_a_page(400, "request"), "no answer came to the client"),
    "ignored": (ignores("request"), "error is None"),
    "other-error": (sends(error="invalid_request"), "'invalid_request'"),
    "promised": (PROMISED, "state is"),
})  # fmt: skip
add("oidcc-ensure-request-object-with-redirect-uri", {
    "redirects": (redirects_anywhere(), "unregistered redirect URI was followed"),
    "promised": (PROMISED, "is supported and came to"),
    "status-200": (error_pages_with(200), "no error but a page with status 200"),
})  # fmt: skip
add("oidcc-claims-essential", {"ignored": (ignores("claims"), "lacks the essential claim name")})
add("oidcc-refresh-token", {
    "refused": (answers("token", 400, {"error": "invalid_grant"}, method="POST"), "answered 400"),
    "anybodys": (takes_anybodys("refresh_token"), "another client refreshed"),
    "characters": (says("token", refresh_token="über"), "characters"),
    "another-person": (asserts(from_the=2, sub=ELSE), "sub of the refreshed ID token"),
    "access-token-dead": (refreshes(access_token=ELSE), "answers 401 to the refreshed"),
    "another-nonce": (asserts(from_the=2, nonce=ELSE), "nonce is"),
    "auth-time-moves": (asserts(auth_time=ever_later()), "auth_time of the refreshed"),
    "announced-only": (says("token", refresh_token=GONE), "no refresh token came"),
    "not-announced": (CODE_ONLY, "not in grant_types_supported"),
})  # fmt: skip
add("oidcc-ensure-request-with-valid-pkce-succeeds", {
    "verifier-refused": (hears({"code_verifier": "x" * 43}, "token"), "invalid_grant"),
})  # fmt: skip
add(DISCOVERY, {
    "issuer": (says("metadata", issuer="https://attacker.example"), "issuer is"),
    "status": (status_of("metadata", 201), "answered 201"),
    "html": (header_of("metadata", "Content-Type", "text/html"), "'text/html'"),
    "endpoint-missing": (says("metadata", token_endpoint=GONE), "token_endpoint is missing"),
    "endpoint-http": (says("metadata", userinfo_endpoint="http://localhost/me"), "userinfo_endpoint is"),
    "endpoint-fragment": (says("metadata", authorization_endpoint="https://localhost/auth#x"), "fragment"),
    "a-member-of-its-own": (says("metadata", surprise=True), "surprise"),
    "a-string-for-a-list": (says("metadata", claims_supported="name"), "claims_supported is"),
    "a-string-for-a-boolean": (says("metadata", claims_parameter_supported="yes"), "parameter_supported is"),
    "an-empty-list": (says("metadata", ui_locales_supported=[]), "ui_locales_supported is empty"),
    "twice": (says("metadata", scopes_supported=["openid", "openid"]), "repeats"),
    "response-types": (says("metadata", response_types_supported=["code", "magic"]), "magic"),
    "grant-types": (says("metadata", grant_types_supported=["refresh_token"]), "lacks authorization_code"),
    "implicit-not-named": (CODE_ONLY, "lacks implicit"),
    "subject-types": (says("metadata", subject_types_supported=["secret"]), "subject_types_supported is"),
    "no-rs256": (says("metadata", id_token_signing_alg_values_supported=["ES256"]), "lacks RS256"),
    "userinfo-algorithm": (says("metadata", userinfo_signing_alg_values_supported=["MD5"]), "MD5"),
    "no-openid": (says("metadata", scopes_supported=["profile"]), "lacks openid"),
    "scope-syntax": (says("metadata", scopes_supported=["openid", "two words"]), "two words"),
    "no-scopes": (says("metadata", scopes_supported=GONE), "scopes_supported is missing"),
    "locale": (says("metadata", ui_locales_supported=["en_GB"]), "en_GB"),
    "locale-casing": (says("metadata", ui_locales_supported=["EN-gb"]), "EN-gb"),
    "no-object": (answers("metadata", 200, [1]), "no JSON object"),
    "keys-gone": (answers("jwks", 404), "jwks_uri answered 404"),
    "private-key": (keys(d="AQAB"), "private"),
})  # fmt: skip
