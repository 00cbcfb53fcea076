"""The public side of the gate's own keys, for IdPs that fetch them: `/.oidcgate/jwks.json`.

Which keys there are is `client_settings`; signing with them is `client_authentication`, opening with them
`signed_tokens`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from oidcgate.gate.client_settings import ClientSettings, signature_of
from oidcgate.jose.jwe import encryption_jwk
from oidcgate.jose.keys import public_jwk


def published_keys(clients: Iterable[ClientSettings]) -> dict[str, Any]:
    """The key set of the gate as a client of these IdPs; each key once, however many have it.

    Spec: RFC 7517 5; OIDC Core 10.
    """
    return {"keys": list({entry["kid"]: entry for client in clients for entry in _entries(client)}.values())}


def _entries(client: ClientSettings) -> Iterator[dict[str, Any]]:
    for position, entry in enumerate(client.signing_keys):
        alg = client.assertion_algorithm if position == 0 else signature_of(entry)
        yield public_jwk(entry.key, entry.kid, alg, client.certificate_chain if position == 0 else ())
    for entry in client.decryption_keys:
        yield encryption_jwk(entry.key, entry.kid, entry.alg)
