"""The module about the provider's own keys: new ones come, and the old ones stay until nothing needs them.

Spec: OIDC Core 10.1.1.
"""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.op import id_token
from tests.conformance.op.outcome import Failure, Skipped, need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run

_CLAUSE = "OIDC Core 10.1.1"
_COMMAND_SECONDS = 120
Key = Mapping[str, Any]


@module("oidcc-server-rotate-keys")
def _rotate(run: Run) -> None:
    if not run.target.rotate_command:
        raise Skipped("there is no rotate_command: whoever certifies asserts that keys can be rotated")
    before = _signing(run.keys)
    grant = run.complete()
    _ask_for_new_keys(run.target.rotate_command)
    after = _until_changed(run, before)
    fresh = [key for key in after if _material(key) not in {_material(old) for old in before}]
    need(bool(fresh), "the JWKS has no new key", _CLAUSE)
    names = sorted({str(key.get("kid")) for key in fresh} & {str(key.get("kid")) for key in before})
    need(not names, f"a new key has the name of an old one: {names}", _CLAUSE)
    # What is out there was signed by the old ones.
    id_token.verified(grant.id_token, after)
    lost = [key.get("kid") for key in before if _material(key) not in {_material(key) for key in after}]
    run.warn_unless(not lost, f"the JWKS lost its old keys: {lost}", _CLAUSE)
    # And whoever reads the keys now can read what is signed now.
    run.keys = after
    run.complete()


def _signing(keys: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [key for key in keys if key.get("use", "sig") == "sig"]


def _material(key: Key) -> tuple[object, ...]:
    return tuple(key.get(name) for name in ("kty", "n", "e", "crv", "x", "y"))


def _until_changed(run: Run, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The keys, once they are others; or as they are when the time for that is over."""
    waited = 0.0
    while True:
        after = _signing(run.published_keys())
        if {_material(key) for key in after} != {_material(key) for key in before}:
            return after
        if waited >= run.target.publishing_seconds:
            return after
        run.wait(0.5)
        waited += 0.5


def _ask_for_new_keys(command: Sequence[str]) -> None:
    try:
        finished = subprocess.run(
            list(command), capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"rotate_command did not run: {error}", _CLAUSE) from None
    said = (finished.stderr or finished.stdout).strip()[-300:]
    need(finished.returncode == 0, f"rotate_command ended with {finished.returncode}: {said}", _CLAUSE)
