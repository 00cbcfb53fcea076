"""Modules about the redirect URI of a request: it is there, and it is a registered one to the letter.

Spec: OIDC Core 3.1.2.1; RFC 6749 3.1.2; RFC 3986 6.2.1.
"""

from tests.conformance.op.browser import Page
from tests.conformance.op.outcome import need
from tests.conformance.op.refusals import error_page
from tests.conformance.op.registration import register
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run
from tests.conformance.op.target import REDIRECT_URIS, Client

_CLAUSE = "OIDC Core 3.1.2.1"
_WITH_QUERY = f"{REDIRECT_URIS[0]}?foo=bar"


@module("oidcc-ensure-redirect-uri-in-authorization-request")
def _missing(run: Run) -> None:
    request = run.parameters(redirect_uri=None)
    journey = run.authorize(request)
    if isinstance(journey.end, Page):
        error_page(run, journey, _CLAUSE)
    else:
        # With one registered redirect URI it may go there. Spec: RFC 6749 3.1.2.3.
        run.refused(journey, request, "invalid_request")


@module("oidcc-redirect-uri-query-OK")
def _query(run: Run) -> None:
    run.person(run.complete(client=register(run, redirect_uris=[_WITH_QUERY])))


def _not_followed(run: Run, client: Client, redirect_uri: str) -> None:
    journey = run.authorize(run.parameters(client=client, redirect_uri=redirect_uri))
    need(isinstance(journey.end, Page), f"{redirect_uri} was followed: {journey.end}", _CLAUSE)
    error_page(run, journey, _CLAUSE)


@module("oidcc-redirect-uri-query-mismatch")
def _another_query(run: Run) -> None:
    client = register(run, redirect_uris=[_WITH_QUERY])
    for query in ("?foo=baz", "?foo=bar&foo=bar", ""):
        _not_followed(run, client, f"{REDIRECT_URIS[0]}{query}")


@module("oidcc-redirect-uri-query-added")
def _query_added(run: Run) -> None:
    _not_followed(run, run.client, f"{run.client.redirect_uri}?foo=bar")
