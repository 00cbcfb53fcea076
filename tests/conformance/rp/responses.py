"""What comes back from the authorization endpoint: errors, and answers that the code flow does not have.

A provider answers a request for a code with what it would answer to one for an ID token, or to one for both.
All of it is rightly signed and bound, so a client has nothing against it but that it asked for none of it. A
browser or a log has seen these tokens by then. The certification has modules for clients of such flows; those
here are for a client that is none.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping

from tests.conformance.op.outcome import need
from tests.conformance.rp.alias import Alias, a_code
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run

_ASKED_FOR = "OAuth 2.0 Multiple Response Types 3"
_CONFIGURATION = ".well-known/openid-configuration"


def _refused(run: Run, clause: str, *, at: str = "authorize") -> None:
    run.refused(clause, at=at)
    need("token" not in run.op.calls, "the token endpoint was asked all the same", clause)


@module("oidcc-client-test-form-post-error")
def says_no(run: Run) -> None:
    run.op.authorized = lambda alias, asked: {"error": "access_denied", "error_description": "Not today."}
    _refused(run, "OIDC Core 3.1.2.6")


def _half_hash(value: str) -> str:
    """Spec: OIDC Core 3.3.2.11."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def _answering(response_type: str) -> Callable[[Alias, Mapping[str, str]], Mapping[str, str]]:
    """Answers as they are to this response type, whatever was asked for."""

    def authorized(alias: Alias, asked: Mapping[str, str]) -> Mapping[str, str]:
        parts: dict[str, str] = {}
        hashes: dict[str, str] = {}
        if "code" in response_type.split():
            parts |= a_code(alias, asked)
            hashes["c_hash"] = _half_hash(parts["code"])
        if "token" in response_type.split():
            parts |= {name: str(value) for name, value in alias.new_access_token().items()}
            hashes["at_hash"] = _half_hash(parts["access_token"])
        return parts | {"id_token": alias.new_id_token(asked, hashes)}

    return authorized


@module("code-flow-only-id_token")
def answers_with_an_id_token(run: Run) -> None:
    run.op.authorized = _answering("id_token")
    _refused(run, _ASKED_FOR)


@module("code-flow-only-id_token-token")
def answers_with_both_tokens(run: Run) -> None:
    run.op.authorized = _answering("id_token token")
    _refused(run, _ASKED_FOR)


@module("code-flow-only-code-id_token")
def answers_with_an_id_token_beside_the_code(run: Run) -> None:
    run.op.authorized = _answering("code id_token")
    _refused(run, _ASKED_FOR)


@module("code-flow-only-code-id_token-token")
def answers_with_everything(run: Run) -> None:
    run.op.authorized = _answering("code id_token token")
    _refused(run, _ASKED_FOR)


@module("code-flow-only-fragment")
def answers_in_the_fragment(run: Run) -> None:
    """As providers do that answer with tokens. Nothing of it reaches a server."""
    run.op.authorized = _answering("code id_token")
    run.op.sends_by = "fragment"
    _refused(run, _ASKED_FOR)


@module("code-flow-only-not-offered")
def offers_no_codes(run: Run) -> None:
    """A client may read that in the metadata, or be told."""
    run.op.metadata = {"response_types_supported": ["id_token", "id_token token"]}
    run.op.authorized = lambda alias, asked: {"error": "unsupported_response_type"}
    _refused(run, "OIDC Discovery 3", at=_CONFIGURATION)
