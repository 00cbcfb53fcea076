"""Modules whose one request has to be accepted: the plain one, and those with something harmless added."""

import base64
import hashlib
import secrets

from tests.conformance.op import id_token
from tests.conformance.op.outcome import Skipped, need
from tests.conformance.op.registration import register
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run


def _whole_flow(run: Run) -> None:
    """A sign-in in a browser that was never here, to the claims of the person."""
    browser = run.target.browser()
    try:
        grant = run.complete(browser=browser)
    finally:
        browser.close()
    need("login" in grant.journey.asked, "nobody was asked to sign in", "OIDC Core 3.1.2.3")
    if grant.access_token is not None:
        run.person(grant)
    if run.variant.gives_code and run.variant.gives_token:
        # The access token of the authorization endpoint is good as well.
        answer = run.userinfo(grant.answer["access_token"])
        need(
            answer.status == 200, f"userinfo answered {answer.status} to the first token", "OIDC Core 3.3.3.8"
        )


module("oidcc-server")(_whole_flow)
#: The plan runs it with another client authentication.
module("oidcc-server-client-secret-post")(_whole_flow)


@module("oidcc-idtoken-signature")
def _signature(run: Run) -> None:
    grant = run.complete()
    for token in grant.id_tokens:
        named = id_token.header(token)
        need(named.get("alg") == "RS256", f"alg is {named.get('alg')!r}, not RS256", "OIDC Registration 2")
        need(isinstance(named.get("kid"), str), "the header of the ID token has no kid", "OIDC Core 10.1")


@module("oidcc-idtoken-unsigned")
def _unsigned(run: Run) -> None:
    if run.variant.registers and "none" in run.supported("id_token_signing_alg_values_supported"):
        run.person(run.complete(client=register(run, id_token_signed_response_alg="none")))
        return
    grant = run.complete()
    need(
        id_token.header(grant.id_token).get("alg") != "none",
        "the ID token is unsigned, unasked",
        "OIDC Core 2",
    )
    if "none" in run.supported("id_token_signing_alg_values_supported"):
        run.warn_unless(
            False, "unsigned ID tokens are offered, and no client of this run has them", "OIDC Core 2"
        )
        return
    raise Skipped("unsigned ID tokens are not in id_token_signing_alg_values_supported")


@module("oidcc-ensure-request-without-nonce-succeeds-for-code-flow")
def _without_nonce(run: Run) -> None:
    run.complete(nonce=None)


@module("oidcc-alternate-happy-flow")
def _alternate(run: Run) -> None:
    run.complete(scope="email openid", backwards=True)


def _harmless(name: str, **added: str) -> None:
    @module(name)
    def accepted(run: Run) -> None:
        request = run.parameters() | added
        run.accepted(run.authorize(request), request)


_harmless("oidcc-display-page", display="page")
_harmless("oidcc-display-popup", display="popup")
_harmless("oidcc-ensure-request-with-unknown-parameter-succeeds", extra="foobar")
_harmless("oidcc-ui-locales", ui_locales="se")
_harmless("oidcc-claims-locales", claims_locales="se")


@module("oidcc-login-hint")
def _login_hint(run: Run) -> None:
    run.complete(login_hint=run.target.user.name)


@module("oidcc-ensure-request-with-acr-values-succeeds")
def _acr_values(run: Run) -> None:
    wanted = list(run.supported("acr_values_supported")) or ["1", "2"]
    acr = run.complete(acr_values=" ".join(wanted)).claims.get("acr")
    run.warn_unless(acr in wanted, f"acr is {acr!r}, none of those asked for: {wanted}", "OIDC Core 3.1.2.1")


@module("oidcc-ensure-post-request-succeeds")
def _post(run: Run) -> None:
    run.complete(post=True)


@module("oidcc-ensure-request-with-valid-pkce-succeeds")
def _pkce(run: Run) -> None:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    run.complete(code_challenge=challenge, code_challenge_method="S256", verifier=verifier)
