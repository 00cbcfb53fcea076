"""Pairwise subjects: how a person is named to the clients of one sector, and to no others. Pure.

Which sector a client belongs to is `provider.client_rules`; where the secret comes from, and who is named so,
`subjects`.
"""

import base64
import hmac


def pairwise_subject(secret: bytes, realm_id: str, sector: str, user_id: str) -> str:
    """The `sub` of a person for a sector, as 43 characters of base64url.

    The same for the same arguments for ever. Without the secret nobody can tell who it is, or whether two are
    one person.

    Args:
        secret: 256 random bits that belong to the realm alone.

    Spec: OIDC Core 8.1.
    """
    parts = (part.encode("utf-8", "surrogatepass") for part in (realm_id, sector, user_id))
    # Each after its length, so that no three can be cut in two ways.
    framed = b"".join(len(part).to_bytes(4) + part for part in parts)
    return base64.urlsafe_b64encode(hmac.digest(secret, framed, "sha256")).rstrip(b"=").decode()
