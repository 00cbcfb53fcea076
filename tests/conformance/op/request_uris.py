"""Modules about request objects that a client serves itself. Spec: OIDC Core 6.2."""

from collections.abc import Mapping

from tests.conformance.op.browser import Callback, Journey, Page
from tests.conformance.op.outcome import Skipped, need
from tests.conformance.op.refusals import unsigned_object
from tests.conformance.op.registration import Registered, register
from tests.conformance.op.registry import module
from tests.conformance.op.run import Parameters, Run
from tests.conformance.op.signing_key import SigningKey, key_of

_CLAUSE = "OIDC Core 6.2"
_TYPE = "application/oauth-authz-req+jwt"


def _offered(run: Run) -> None:
    # What the metadata does not say is true here. Spec: OIDC Discovery 3.
    flag = run.metadata.get("request_uri_parameter_supported", True)
    need(flag is True, f"request_uri_parameter_supported is {flag!r}", "OIDC Discovery 3")


def _algorithms(run: Run) -> list[str]:
    # Without a word these. Spec: OIDC Discovery 3.
    return list(run.metadata.get("request_object_signing_alg_values_supported", ["none", "RS256"]))


def _client(run: Run, **metadata: str) -> tuple[Registered, str]:
    url = run.receiver.serve("request.jwt", b"", _TYPE)
    return register(run, request_uris=[url], **metadata), url


def _ask(run: Run, url: str, inner: Parameters, served: str) -> Journey:
    """Send what OAuth 2.0 asks for, and leave state and nonce to the object, which shows that it was read.

    Spec: OIDC Core 6.1.
    """
    run.receiver.serve_anew(url, served.encode())
    outer = {name: value for name, value in inner.items() if name not in ("state", "nonce")}
    return run.authorize({**outer, "request_uri": url})


def _about(run: Run, client: Registered, inner: Parameters) -> dict[str, object]:
    return {**inner, "iss": client.client_id, "aud": run.target.issuer}


@module("oidcc-request-uri-unsigned")
def _unsigned(run: Run) -> None:
    _offered(run)
    if "none" not in _algorithms(run):
        raise Skipped("unsigned request objects are not in request_object_signing_alg_values_supported")
    client, url = _client(run)
    inner = run.parameters(client=client)
    journey = _ask(run, url, inner, unsigned_object(inner))
    run.person(run.accepted(journey, inner, client))


@module("oidcc-request-uri-signed-rs256")
def _signed(run: Run) -> None:
    _offered(run)
    algorithms = _algorithms(run)
    need(
        "RS256" in algorithms,
        f"request_object_signing_alg_values_supported lacks RS256: {algorithms}",
        "OIDC Discovery 3",
    )
    client, url = _client(run, request_object_signing_alg="RS256")
    inner = run.parameters(client=client)
    journey = _ask(run, url, inner, client.key.sign(_about(run, client, inner)))
    run.person(run.accepted(journey, inner, client))
    _refuses(run, SigningKey(client.key.kid, key_of("forger").private))


def _refuses(run: Run, forger: SigningKey) -> None:
    """What somebody else signed in the client's name is not followed."""
    client, url = _client(run, request_object_signing_alg="RS256")
    inner = run.parameters(client=client)
    journey = _ask(run, url, inner, forger.sign(_about(run, client, inner)))
    if isinstance(journey.end, Page):
        need(400 <= journey.end.status < 500, f"no error but {journey.end}", _CLAUSE)
        return
    told = _told(journey.end)
    need("code" not in told, "a forged request object was followed", _CLAUSE)
    error = told.get("error")
    need(error == "invalid_request_object", f"a forged request object is {error!r}", "OIDC Core 6")


def _told(callback: Callback) -> Mapping[str, str]:
    return dict([*callback.query, *callback.fragment, *callback.form])
