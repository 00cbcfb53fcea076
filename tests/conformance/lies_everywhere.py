"""Lies that every module with an authorization sees; they are told to the plainest, `oidcc-server`."""

from tests.conformance.lies import (
    GONE,
    answers,
    asserts,
    goes_in_circles,
    hangs_up,
    header_of,
    keys,
    repeats_what_is_sent,
    rewrites,
    says,
    sends,
    status_of,
)
from tests.conformance.lying_proxy import Lie

ELSE = "something-else"
#: In the page that carries an answer; the peer's other forms have no whole URL.
BY_GET = ('method="post" action="https:', 'method="get" action="https:')


def wrapped(old: object) -> list[object]:
    return [old, "another-client"]


#: Lie → what the failure names.
WHOLE: dict[str, tuple[Lie, str]] = {
    "state": (sends(state=ELSE), "state"),
    "state-missing": (sends(state=GONE), "state"),
    "iss-of-the-answer": (sends(iss="https://attacker.example"), "iss of the answer"),
    "iss-of-the-answer-missing": (sends(iss=GONE), "iss of the answer"),
    "code-missing": (sends(code=GONE), "code is missing"),
    "access-token-in-a-code-answer": (
        sends(access_token="x", token_type="Bearer"),
        "access_token was not asked for",
    ),
    "an-unknown-parameter": (sends(surprise="x"), "surprise"),
    "a-parameter-twice": (sends(twice="code"), "repeats"),
    "answer-in-the-fragment": (sends(place="fragment"), "fragment carries"),
    "iss": (asserts(iss="https://attacker.example"), "iss is"),
    "iss-with-a-slash": (asserts(iss=lambda old: f"{old}/"), "iss is"),
    "aud": (asserts(aud="another-client"), "aud is"),
    "aud-of-two": (asserts(aud=wrapped), "aud has somebody else"),
    "azp": (asserts(azp="another-client"), "azp is"),
    "sub-missing": (asserts(sub=GONE), "sub is None"),
    "sub-too-long": (asserts(sub="s" * 256), "sub is"),
    "sub-a-number": (asserts(sub=7), "sub is 7"),
    "exp-missing": (asserts(exp=GONE), "exp is None"),
    "exp-past": (asserts(exp=1_700_000_000), "exp is"),
    "exp-a-string": (asserts(exp="tomorrow"), "exp is"),
    "iat-missing": (asserts(iat=GONE), "iat is None"),
    "iat-long-ago": (asserts(iat=1_700_000_000), "iat is"),
    "nonce": (asserts(nonce=ELSE), "nonce is"),
    "nonce-missing": (asserts(nonce=GONE), "nonce is None"),
    "auth-time-a-string": (asserts(auth_time="now"), "auth_time is"),
    "acr-a-number": (asserts(acr=1), "acr is 1"),
    "amr-a-string": (asserts(amr="pwd"), "amr is"),
    "at-hash": (asserts(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), "at_hash is"),
    "key-unknown": (asserts(serve=False), "no key"),
    "kid-of-another-key": (asserts(header={"kid": "rsa"}), "signature"),
    "alg-none": (asserts(header={"alg": "none", "kid": None}), "signed with 'none'"),
    "alg-hs256": (asserts(header={"alg": "HS256"}), "signed with 'HS256'"),
    "id-token-missing": (says("token", id_token=GONE), "no id_token"),
    "id-token-no-jwt": (says("token", id_token="x.y.z"), "cannot be read"),
    "access-token-missing": (says("token", access_token=GONE), "access_token is missing"),
    "token-type": (says("token", token_type="mac"), "token_type is 'mac'"),
    "expires-in-a-string": (says("token", expires_in="60"), "expires_in is"),
    "expires-in-negative": (says("token", expires_in=-1), "expires_in is"),
    "tokens-cacheable": (header_of("token", "Cache-Control", "public"), "Cache-Control"),
    "tokens-as-html": (header_of("token", "Content-Type", "text/html"), "'text/html'"),
    "tokens-with-another-status": (status_of("token", 201), "answered 201"),
    "sub-of-userinfo": (says("userinfo", sub=ELSE), "sub of userinfo"),
    "private-member": (keys(d="AQAB"), "private"),
    "small-key": (keys(n="AQAB"), "bits"),
    "symmetric-key": (says("jwks", keys=[{"kty": "oct", "k": "AQAB"}]), "'oct'"),
    "no-keys": (says("jwks", keys=[]), "no key"),
    "key-without-kid": (keys(kid=GONE), "without kid"),
    "two-keys-alike": (says("jwks", keys=lambda old: [*old, old[0]]), "alike"),
    "nbf-ahead": (asserts(nbf=9_999_999_999), "nbf is"),
    "a-claim-that-is-null": (asserts(website=None), "website"),
    "a-claim-of-another-type": (asserts(email_verified="yes"), "email_verified is 'yes'"),
    "characters-of-the-access-token": (says("token", access_token="über"), "access_token has characters"),
    "authentication-not-announced": (
        says("metadata", token_endpoint_auth_methods_supported=["private_key_jwt"]),
        "client_secret_basic is not in",
    ),
    "discovery-gone": (answers("metadata", 404), "discovery answered 404"),
    "discovery-no-object": (rewrites('{"', '[{"', html=False), "discovery"),
    "hangs-up": (hangs_up("token"), "the provider did not answer"),
    "circles": (goes_in_circles(), "no end after"),
    "sends-the-password-on": (repeats_what_is_sent(), "repeats what the person sent"),
    "userinfo-gone": (answers("userinfo", 500), "userinfo answered 500"),
}
#: And what only some response types or modes have.
FRONT: dict[str, tuple[str, str, Lie, str]] = {
    "c-hash": ("code id_token", "default", asserts(c_hash="AAAAAAAAAAAAAAAAAAAAAA"), "c_hash is"),
    "c-hash-missing": ("code id_token", "default", asserts(c_hash=GONE), "c_hash is missing"),
    "at-hash-missing": ("id_token token", "default", asserts(at_hash=GONE), "at_hash is missing"),
    "at-hash-of-hybrid": (
        "code id_token token",
        "default",
        asserts(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
        "at_hash is",
    ),
    "nonce-of-implicit": ("id_token", "default", asserts(nonce=ELSE), "nonce is"),
    "access-token-unasked": (
        "id_token",
        "default",
        sends(access_token="x", token_type="Bearer"),
        "not asked for",
    ),
    "token-type-missing": ("id_token token", "default", sends(token_type=GONE), "token_type is missing"),
    "id-token-unasked": ("code token", "default", sends(id_token="x"), "id_token was not asked for"),
    "first-token-dead": ("code token", "default", sends(access_token=ELSE), "to the first token"),
    "implicit-in-the-query": ("id_token", "default", sends(place="query"), "query carries"),
    "hybrid-in-the-query": ("code id_token", "default", sends(place="query"), "query carries"),
    "form-post-by-redirect": ("code", "form_post", sends(place="query"), "answer is a GET"),
    "form-post-by-get": ("code", "form_post", rewrites(*BY_GET), "leaves by get"),
    "form-post-as-text": (
        "code",
        "form_post",
        rewrites('action="https:', 'enctype="text/plain" action="https:'),
        "as text/plain",
    ),
    "form-post-with-a-query": ("code", "form_post", rewrites("/callback", "/callback?x=1"), "query carries"),
    "form-post-state": ("id_token", "form_post", sends(state=ELSE), "state"),
}
