"""Tokens as drafts: everything decided and written down, nothing signed.

Signing an RSA token takes longer than the rest of a request, so it happens after the transaction that issued
the token: a draft holds what is needed for it. What a draft says is decided in `issuing`; keys are `keyring`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from oidcgate.protocol.errors import ServerError
from oidcgate.protocol.id_token import half_hash
from oidcgate.protocol.parameters import MAX_TOKEN_CHARACTERS
from oidcgate.protocol.token import TokenResponse


class TokenSigner(Protocol):
    """A key that signs, and the algorithm it does it with."""

    @property
    def alg(self) -> str:
        """The algorithm."""

    def sign(self, claims: Mapping[str, Any], *, typ: str | None = None) -> str:
        """The claims as a signed token."""


@dataclass(frozen=True)
class AccessDraft:
    """An access token.

    Attributes:
        handle: 256 random bits: the token itself, or the `jti` of one that is a JWT, which is worth nothing
            without the signature.
        signer, claims: Of a JWT; None for a token that is the handle.
    """

    handle: str = field(repr=False)
    expires_in: int
    scope: tuple[str, ...]
    signer: TokenSigner | None = None
    claims: Mapping[str, Any] | None = None

    def text(self) -> str:
        """The token as it is sent.

        Raises:
            ServerError: it would be too long for any endpoint to read it back.

        Spec: RFC 9068 2.1.
        """
        if self.signer is None or self.claims is None:
            return self.handle
        text = self.signer.sign(self.claims, typ="at+jwt")
        if len(text) > MAX_TOKEN_CHARACTERS:
            # Nobody could ask about it or take it back, so nobody gets it.
            raise ServerError(detail=f"an access token of {len(text)} characters: put fewer claims into it")
        return text


@dataclass(frozen=True)
class IdTokenDraft:
    """An ID token.

    Attributes:
        claims: All but the hashes of what comes with it.
        encrypt: For a client that has its ID tokens encrypted.
    """

    signer: TokenSigner
    claims: Mapping[str, Any]
    encrypt: Callable[[str], str] | None = None

    def text(self, *, access_token: str | None = None, code: str | None = None) -> str:
        """The token as it is sent, bound to what it is sent with.

        Spec: OIDC Core 3.1.3.6, 3.2.2.10, 3.3.2.11.
        """
        hashes = {"at_hash": access_token, "c_hash": code}
        bound = {
            name: half_hash(value, self.signer.alg) for name, value in hashes.items() if value is not None
        }
        signed = self.signer.sign({**self.claims, **bound})
        return signed if self.encrypt is None else self.encrypt(signed)


@dataclass(frozen=True)
class TokenDraft:
    """The answer of the token endpoint.

    Attributes:
        scope: What was granted, which may be more than the access token carries.
    """

    access: AccessDraft
    scope: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    id_token: IdTokenDraft | None = None

    def response(self) -> TokenResponse:
        """Sign what has to be signed. Spec: RFC 6749 5.1; OIDC Core 3.1.3.3."""
        access_token = self.access.text()
        return TokenResponse(
            access_token=access_token,
            expires_in=self.access.expires_in,
            scope=self.scope,
            refresh_token=self.refresh_token,
            id_token=None if self.id_token is None else self.id_token.text(access_token=access_token),
        )


@dataclass(frozen=True)
class FrontDraft:
    """What the authorization endpoint sends: each part where the response type asks for it."""

    code: str | None = field(default=None, repr=False)
    access: AccessDraft | None = None
    id_token: IdTokenDraft | None = None

    def parameters(self) -> dict[str, str]:
        """Sign what has to be signed. Spec: RFC 6749 4.1.2, 4.2.2; OIDC Core 3.2.2.5, 3.3.2.5."""
        found: dict[str, str] = {}
        access_token = None
        if self.code is not None:
            found["code"] = self.code
        if self.access is not None:
            access_token = self.access.text()
            found |= {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": str(self.access.expires_in),
                "scope": " ".join(self.access.scope),
            }
        if self.id_token is not None:
            found["id_token"] = self.id_token.text(access_token=access_token, code=self.code)
        return found
