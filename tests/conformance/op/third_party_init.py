"""Modules about where somebody else may send a person to sign in at a client. Spec: OIDC Core 4."""

from urllib.parse import urlsplit

from tests.conformance.op import registration
from tests.conformance.op.outcome import need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run
from tests.conformance.op.target import REDIRECT_URIS


def _uri(scheme: str) -> str:
    return f"{scheme}://{urlsplit(REDIRECT_URIS[0]).netloc}/initiate_login"


@module("oidcc-3rd_party-init-login")
def _kept(run: Run) -> None:
    uri = _uri("https")
    client = registration.register(run, initiate_login_uri=uri)
    kept = registration.read_again(run, client).get("initiate_login_uri")
    need(kept == uri, f"initiate_login_uri is {kept!r} when it is read, not {uri!r}", "RFC 7592 3")


@module("oidcc-3rd_party-init-login-nohttps")
def _no_tls(run: Run) -> None:
    metadata = registration.wanted_metadata(run, initiate_login_uri=_uri("http"))
    registration.refused(run, metadata, "invalid_client_metadata")
