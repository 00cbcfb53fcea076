"""Modules about what a client registers: algorithms, keys at an address, sectors, what may not be registered.

Each registers its own clients (`registration`). What they say of themselves on pages is `shown`.
"""

import json
import time

from tests.conformance.op import id_token
from tests.conformance.op.messages import code_form
from tests.conformance.op.outcome import Skipped, need
from tests.conformance.op.person import check_types
from tests.conformance.op.registration import Registered, refused, register, wanted_metadata
from tests.conformance.op.registry import module
from tests.conformance.op.run import Grant, Run
from tests.conformance.op.signing_key import key_of
from tests.conformance.op.target import REDIRECT_URIS

_SKEW_SECONDS = 300


@module("oidcc-idtoken-rs256")
def _rs256(run: Run) -> None:
    grant = run.complete(client=register(run, id_token_signed_response_alg="RS256"))
    for token in grant.id_tokens:
        named = id_token.header(token)
        need(isinstance(named.get("kid"), str), "the header of the ID token has no kid", "OIDC Core 10.1")


@module("oidcc-userinfo-rs256")
def _signed_userinfo(run: Run) -> None:
    offered = run.supported("userinfo_signing_alg_values_supported")
    need(
        "RS256" in offered,
        f"userinfo_signing_alg_values_supported lacks RS256: {offered}",
        "OIDC Discovery 3",
    )
    client = register(run, userinfo_signed_response_alg="RS256")
    grant = run.complete(client=client, scope="openid profile email")
    answer = run.userinfo(str(grant.access_token))
    clause = "OIDC Core 5.3.2"
    need(answer.status == 200, f"userinfo answered {answer.status}", "OIDC Core 5.3.1")
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    need(content_type == "application/jwt", f"userinfo is {content_type!r}", clause)
    claims = id_token.verified(answer.text, run.keys, what="userinfo")
    subject, named = claims.get("sub"), grant.claims["sub"]
    need(subject == named, f"sub of userinfo is {subject!r}, that of the ID token {named!r}", clause)
    issuer, audience = claims.get("iss"), claims.get("aud")
    run.warn_unless(issuer == run.target.issuer, f"iss of userinfo is {issuer!r}", clause)
    told = audience if isinstance(audience, list) else [audience]
    run.warn_unless(client.client_id in told, f"aud of userinfo is {audience!r}", clause)
    need("nonce" not in claims, "userinfo has a nonce, as if it were an ID token", "OIDC Core 5.1")
    _check_times(claims)
    check_types(claims)


def _check_times(claims: id_token.Claims) -> None:
    now = time.time()
    ends, begins, issued = (claims.get(name, now) for name in ("exp", "nbf", "iat"))
    for name, value in (("exp", ends), ("nbf", begins), ("iat", issued)):
        need(isinstance(value, int | float), f"{name} of userinfo is {value!r}", "RFC 7519 4.1")
    need(ends > now - _SKEW_SECONDS, f"exp of userinfo is {now - ends:.0f} s ago", "RFC 7519 4.1.4")
    for name, value in (("nbf", begins), ("iat", issued)):
        ahead = value - now
        need(ahead < _SKEW_SECONDS, f"{name} of userinfo is {ahead:.0f} s ahead", "RFC 7519 4.1.5")


@module("oidcc-registration-jwks-uri")
def _keys_at_an_address(run: Run) -> None:
    grant = run.complete(client=_with_keys_at(run, _served_keys(run)))
    run.person(grant)


def _served_keys(run: Run) -> str:
    return run.receiver.serve("jwks.json", key_of("first").document())


def _with_keys_at(run: Run, url: str) -> Registered:
    return register(run, jwks=None, jwks_uri=url)


@module("oidcc-refresh-token-rp-key-rotation")
def _keys_changed(run: Run) -> None:
    url = _served_keys(run)
    client = _with_keys_at(run, url)
    # Spec: OIDC Core 11: without prompt=consent it is ignored.
    grant = run.complete(client=client, scope="openid offline_access", prompt="consent")
    need("refresh_token" in grant.tokens, "no refresh token came with offline_access", "OIDC Core 11")
    announced = "refresh_token" in run.supported("grant_types_supported")
    run.warn_unless(announced, "refresh_token is not in grant_types_supported", "OIDC Discovery 3")
    renewed = key_of("second")
    run.receiver.serve_anew(url, renewed.document())
    run.wait(run.target.refetch_seconds)
    form = {"grant_type": "refresh_token", "refresh_token": str(grant.tokens["refresh_token"])}
    answer = run.token_request(form, client.with_key(renewed))
    run.judge_tokens(answer)
    live = run.userinfo(answer.json["access_token"]).status
    need(live == 200, f"userinfo answers {live} to the refreshed access token", "OIDC Core 5.3.1")


@module("oidcc-ensure-client-assertion-with-iss-aud-succeeds")
def _assertion_for_the_issuer(run: Run) -> None:
    request = run.parameters()
    answer = run.answer(run.authorize(request), request)
    need("code" in answer, f"no code came: {answer.get('error')}", "OIDC Core 3.1.2.5")
    told = run.token_request(code_form(answer["code"], request), run.client, audience=run.target.issuer)
    if told.status == 200:
        run.judge_tokens(told)
        run.judge_id_token(str(told.json["id_token"]), request, run.client)
        return
    error = told.json.get("error")
    need(
        told.status in (400, 401) and error == "invalid_client",
        f"the token endpoint answered {told.status} {error!r} to an assertion for the issuer",
        "RFC 6749 5.2",
    )
    run.warn_unless(False, "an assertion whose audience is the issuer is refused", "OIDC Core 9")


def _needs_pairwise(run: Run) -> None:
    if "pairwise" not in run.supported("subject_types_supported"):
        raise Skipped("pairwise is not in subject_types_supported")


@module("oidcc-registration-sector-uri")
def _sector(run: Run) -> None:
    _needs_pairwise(run)
    url = run.receiver.serve("redirect_uris.json", json.dumps(REDIRECT_URIS).encode())
    sector = {"subject_type": "pairwise", "sector_identifier_uri": url}
    # Its redirect URIs have two hosts: without the document there would be no sector.
    one = register(run, redirect_uris=list(REDIRECT_URIS), **sector)
    need(run.receiver.was_asked_for(url), "sector_identifier_uri was not read", "OIDC Registration 5")
    first = _subject(run.complete(client=one))
    second = _subject(run.complete(client=register(run, redirect_uris=[REDIRECT_URIS[0]], **sector)))
    need(first == second, f"two clients of a sector have sub {first!r} and {second!r}", "OIDC Core 8.1")
    elsewhere = _subject(run.complete(client=register(run, subject_type="pairwise")))
    need(first != elsewhere, f"clients of two sectors have the same sub {first!r}", "OIDC Core 8.1")
    public = _subject(run.complete(client=register(run, subject_type="public")))
    need(public not in (first, elsewhere), "a pairwise sub is the public one", "OIDC Core 8.1")


def _subject(grant: Grant) -> str:
    return str(grant.claims["sub"])


@module("oidcc-registration-sector-bad")
def _sector_of_others(run: Run) -> None:
    _needs_pairwise(run)
    others = json.dumps(["https://somebody-else.example/callback"]).encode()
    url = run.receiver.serve("redirect_uris.json", others)
    asked = wanted_metadata(run, subject_type="pairwise", sector_identifier_uri=url)
    error = refused(run, asked, "invalid_client_metadata", "invalid_redirect_uri")
    run.warn_unless(
        error == "invalid_client_metadata",
        f"the error is {error!r}, not invalid_client_metadata",
        "OIDC Registration 3.3",
    )


@module("oidcc-redirect-uri-regfrag")
def _fragment(run: Run) -> None:
    asked = wanted_metadata(run, redirect_uris=[f"{REDIRECT_URIS[0]}#foobar"])
    refused(run, asked, "invalid_redirect_uri", "invalid_request")
