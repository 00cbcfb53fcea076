"""Modules with a request that has to be refused, or processed as it was meant, but never half."""

import base64
import json
import secrets
from http import HTTPStatus

from tests.conformance.op.browser import Callback, Journey, Page
from tests.conformance.op.outcome import Failure, Skipped, need
from tests.conformance.op.registration import Registered
from tests.conformance.op.registry import module
from tests.conformance.op.run import Parameters, Run


def error_page(run: Run, journey: Journey, clause: str) -> None:
    """The journey ended at a page that says so with its status, before anybody was asked anything."""
    end = journey.end
    assert isinstance(end, Page)
    need(not journey.asked, f"the person was asked before the error: {journey.asked}", clause)
    need(400 <= end.status < 500, f"no error but {end}", clause)
    run.warn_unless(end.status == HTTPStatus.BAD_REQUEST, f"the error page has status {end.status}", clause)
    need("html" in end.content_type, f"the error is {end.content_type!r}, nothing for a person", clause)


@module("oidcc-response-type-missing")
def _response_type_missing(run: Run) -> None:
    request = run.parameters(response_type=None)
    journey = run.authorize(request)
    clause = "RFC 6749 3.1.1"
    if isinstance(journey.end, Page):
        error_page(run, journey, clause)
        return
    # Without a response type the answer is where that of a code would be. Spec: RFC 6749 4.1.2.1.
    place = "form" if run.variant.response_mode == "form_post" else "query"
    answer = dict(getattr(journey.end, place))
    error = answer.get("error")
    need(
        error in ("invalid_request", "unsupported_response_type"),
        f"error is {error!r}; {journey.end}",
        clause,
    )
    need(answer.get("state") == request["state"], f"state is {answer.get('state')!r}", "RFC 6749 4.1.2.1")
    run.judge_error(answer)


@module("oidcc-ensure-request-without-nonce-fails")
def _without_nonce(run: Run) -> None:
    request = run.parameters(nonce=None)
    journey = run.authorize(request)
    if isinstance(journey.end, Page):
        error_page(run, journey, "OIDC Core 3.2.2.1")
    else:
        run.refused(journey, request, "invalid_request")


@module("oidcc-ensure-registered-redirect-uri")
def _registered_redirect_uri(run: Run) -> None:
    clause = "OIDC Core 3.1.2.1"
    elsewhere = f"{run.client.redirect_uri.partition('?')[0]}/{secrets.token_urlsafe(6)}"
    browser = run.target.browser(elsewhere)
    try:
        journey = run.authorize(run.parameters(redirect_uri=elsewhere), browser)
    finally:
        browser.close()
    need(isinstance(journey.end, Page), f"the unregistered redirect URI was followed: {journey.end}", clause)
    error_page(run, journey, clause)


def unsigned_object(claims: Parameters) -> str:
    """An unsigned request object. Spec: OIDC Core 6.1; RFC 7519 6."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none"}, claims)
    ]
    return ".".join((*parts, ""))


def _only_signed(run: Run) -> bool:
    """Whether the metadata says that unsigned objects are not read."""
    return "none" not in run.metadata.get("request_object_signing_alg_values_supported", ["none"])


def _supports(run: Run, algorithm: str = "none") -> bool:
    offered = run.metadata.get("request_parameter_supported", False)
    return bool(offered) and algorithm in run.supported("request_object_signing_alg_values_supported")


def _rejected(run: Run, callback: Callback, request: Parameters, error: str) -> None:
    answer = dict([*callback.query, *callback.fragment, *callback.form])
    given = answer.get("error")
    need(given == error, f"error is {given!r}, not {error}; {callback}", "OIDC Core 3.1.2.6")
    # The state is that of the parameters, if there was one: the object was not read.
    need(answer.get("state") == request.get("state"), f"state is {answer.get('state')!r}", "RFC 6749 4.1.2.1")
    run.judge_error(answer)


@module("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported")
def _unsigned_request_object(run: Run) -> None:
    if _only_signed(run):
        raise Skipped("unsigned request objects are not in request_object_signing_alg_values_supported")
    inner = run.parameters()
    # state and nonce are in the object alone: an answer without them shows that it was ignored.
    request = {name: value for name, value in inner.items() if name not in ("state", "nonce")}
    request |= {"request": unsigned_object({**inner, "iss": run.client.client_id, "aud": run.target.issuer})}
    journey = run.authorize(request)
    if isinstance(journey.end, Page):
        raise Failure(f"no answer came to the client but {journey.end}", "OIDC Core 3.1.2.6")
    if _supports(run):
        run.accepted(journey, inner)
        return
    _rejected(run, journey.end, request, "request_not_supported")


@module("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported")
def _request_uri(run: Run) -> None:
    # What the metadata does not say is true here. Spec: OIDC Discovery 3.
    if run.metadata.get("request_uri_parameter_supported", True):
        raise Skipped(
            "not for static clients of a provider that supports request_uri: their request_uris are unknown"
        )
    request = run.parameters()
    request |= {"request_uri": f"{run.client.redirect_uri.partition('?')[0]}/request-object"}
    journey = run.authorize(request)
    if isinstance(journey.end, Page):
        raise Failure(f"no answer came to the client but {journey.end}", "OIDC Core 3.1.2.6")
    _rejected(run, journey.end, request, "request_uri_not_supported")


@module("oidcc-ensure-request-object-with-redirect-uri")
def _redirect_uri_inside(run: Run) -> None:
    client, inner = run.client, run.parameters()
    elsewhere = f"{client.redirect_uri.partition('?')[0]}/{secrets.token_urlsafe(6)}"
    claims = {**inner, "iss": client.client_id, "aud": run.target.issuer}
    algorithm, made = "none", unsigned_object(claims)
    if _only_signed(run):
        if not isinstance(client, Registered):
            raise Skipped("request objects are to be signed, and the client has no key")
        algorithm, made = "RS256", client.key.sign(claims)
    request = {**inner, "redirect_uri": elsewhere, "request": made}
    browser = run.target.browser(elsewhere)
    try:
        journey = run.authorize(request, browser)
    finally:
        browser.close()
    clause = "OIDC Core 6.1"
    if isinstance(journey.end, Callback):
        right = inner["redirect_uri"].partition("?")[0]
        need(journey.end.uri == right, f"the unregistered redirect URI was followed: {journey.end}", clause)
        run.accepted(journey, inner)
        return
    need(not _supports(run, algorithm), f"the request object is supported and came to {journey.end}", clause)
    error_page(run, journey, clause)
