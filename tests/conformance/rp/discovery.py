"""The plan about discovery and keys."""

from tests.conformance.op.outcome import need
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run
from tests.conformance.rp.signing import key

_CONFIGURATION = ".well-known/openid-configuration"
_ROTATION = "OIDC Core 10.1.1"


@module("oidcc-client-test-discovery-openid-config")
def reads_the_configuration(run: Run) -> None:
    run.accepted("OIDC Discovery 4")
    need(run.op.calls[0] == _CONFIGURATION, f"{run.op.calls[0]} was asked first", "OIDC Discovery 4")


@module("oidcc-client-test-discovery-jwks-uri-keys")
def fetches_the_keys(run: Run) -> None:
    run.accepted("OIDC Discovery 3")
    need("jwks" in run.op.calls, "the keys were not asked for", "OIDC Discovery 3")


@module("oidcc-client-test-discovery-issuer-mismatch")
def configuration_is_of_another(run: Run) -> None:
    run.op.metadata = {"issuer": "https://another.example/"}
    run.refused("OIDC Discovery 4.3", at=_CONFIGURATION)
    need("authorize" not in run.op.calls, "a person was sent there all the same", "OIDC Discovery 4.3")


def _rotate(run: Run) -> None:
    run.op.signing_key = key("second")
    run.op.keys = [key("second")]


@module("oidcc-client-test-signing-key-rotation-just-before-signing")
def keys_change_during_a_sign_in(run: Run) -> None:
    run.op.before_signing = lambda: _rotate(run)
    run.accepted(_ROTATION)


@module("oidcc-client-test-signing-key-rotation")
def keys_change_between_sign_ins(run: Run) -> None:
    run.accepted(_ROTATION)
    _rotate(run)
    run.accepted(_ROTATION, run.other)
