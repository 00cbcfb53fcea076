"""How the gate proves who it is at an identity provider: a part of `[provider]`.

Here live these settings and what can be wrong with them; the rest of `[provider]` is `provider_settings` next
door. What the settings become is `client_authentication` and `client_keys`.
"""

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from typing import Final

from oidcgate.jose.certificates import load_pair
from oidcgate.jose.jwe import KEY_ALGORITHMS, EncryptionKey
from oidcgate.jose.keys import SIGNING_ALGORITHMS, UnusableKey, VerificationKey
from oidcgate.jose.private_keys import PrivateKey, private_keys
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, fits_secret
from oidcgate.protocol.client_auth import ClientAuthMethod
from oidcgate.settings import FileText, Problem, Secret, cross_check, setting

_WITH_SECRET: Final = (
    ClientAuthMethod.CLIENT_SECRET_BASIC,
    ClientAuthMethod.CLIENT_SECRET_POST,
    ClientAuthMethod.CLIENT_SECRET_JWT,
)
#: The methods by which the gate signs who it is.
SIGNED_PROOFS: Final = (ClientAuthMethod.CLIENT_SECRET_JWT, ClientAuthMethod.PRIVATE_KEY_JWT)
_KEY_COMMAND: Final = (
    "run (umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {file})"
)


@dataclasses.dataclass(frozen=True)
class ClientSettings:
    """What the gate is as a client of one identity provider."""

    client_id: str = setting(help="The client id that the IdP gave for this app.")
    client_secret: Secret | None = setting(default=None, help="The client secret that the IdP gave.")
    token_endpoint_auth_method: str | None = setting(
        default=None,
        choices=tuple(map(str, ClientAuthMethod)),
        help="How the gate proves who it is. Unset: private_key_jwt with client_signing_keys, else the "
        "secret by basic when the IdP offers it, else by post.",
    )
    token_endpoint_auth_signing_alg: str | None = setting(
        default=None,
        choices=(*SIGNING_ALGORITHMS, *HMAC_ALGORITHMS),
        help="How such a proof is signed. Unset: HS256 with the secret; the first that goes with the key.",
    )
    client_assertion_audience: str | None = setting(
        default=None,
        choices=("issuer", "token_endpoint"),
        help="Whom a signed proof is for. Unset: as the template has it, else the issuer.",
    )
    client_signing_keys: Secret | None = setting(
        default=None,
        help="The gate's private keys for private_key_jwt: PEM, JWK or JWK Set. The first signs, all are in "
        "`/.oidcgate/jwks.json`.",
        made_by=_KEY_COMMAND,
    )
    client_certificate: FileText | None = setting(
        default=None,
        help="The certificate of the first of them (PEM), whose thumbprint is then named in each signature.",
    )
    client_decryption_keys: Secret | None = setting(
        default=None,
        help="The gate's private keys that the IdP encrypts tokens to: PEM, JWK or JWK Set. All open, all "
        "are in `/.oidcgate/jwks.json`.",
        made_by=_KEY_COMMAND,
    )

    @cached_property
    def signing_keys(self) -> tuple[PrivateKey, ...]:
        """The keys of `client_signing_keys`, which were found to be right."""
        return (
            () if self.client_signing_keys is None else private_keys(self.client_signing_keys.reveal(), "sig")
        )

    @cached_property
    def decryption_keys(self) -> tuple[PrivateKey, ...]:
        """The keys of `client_decryption_keys`, which were found to be right."""
        text = self.client_decryption_keys
        return () if text is None else private_keys(text.reveal(), "enc")

    @property
    def auth_method(self) -> ClientAuthMethod | None:
        """The method that the settings ask for; None: the secret, as the IdP likes it."""
        if self.token_endpoint_auth_method is not None:
            return ClientAuthMethod(self.token_endpoint_auth_method)
        return ClientAuthMethod.PRIVATE_KEY_JWT if self.client_signing_keys is not None else None

    @property
    def assertion_algorithm(self) -> str:
        """How assertions are signed."""
        if self.token_endpoint_auth_signing_alg is not None:
            return self.token_endpoint_auth_signing_alg
        if self.auth_method is not ClientAuthMethod.PRIVATE_KEY_JWT:
            return HMAC_ALGORITHMS[0]
        return signature_of(self.signing_keys[0])

    @cross_check
    def _one_proof(self) -> Iterable[Problem]:
        method = self.auth_method
        if self.client_secret is None and (method is None or method in _WITH_SECRET):
            yield Problem("client_secret", None, "is missing", "set client_secret or client_secret_file")
        if self.client_secret is not None and method is ClientAuthMethod.NONE:
            yield Problem(
                "client_secret", None, "is given, and the method none never presents it", "remove one of them"
            )
        if self.client_signing_keys is None and method is ClientAuthMethod.PRIVATE_KEY_JWT:
            yield Problem(
                "client_signing_keys",
                None,
                "is missing, and private_key_jwt signs with them",
                "name their file",
            )
        if self.client_signing_keys is None:
            return
        if self.token_endpoint_auth_method is None and self.client_secret is not None:
            yield Problem(
                "token_endpoint_auth_method",
                None,
                "is missing, and there are both client_secret and client_signing_keys",
                "set it to private_key_jwt, or to how the secret is presented",
            )
        elif method is not ClientAuthMethod.PRIVATE_KEY_JWT:
            yield Problem(
                "client_signing_keys",
                None,
                f"is given, and {method} never signs with it",
                "remove one of them",
            )

    @cross_check
    def _one_algorithm(self) -> Iterable[Problem]:
        method, wanted = self.auth_method, self.token_endpoint_auth_signing_alg
        if method is ClientAuthMethod.CLIENT_SECRET_JWT:
            if wanted is not None and wanted not in HMAC_ALGORITHMS:
                yield _algorithm_problem(wanted, "needs a key, not a secret", ", ".join(HMAC_ALGORITHMS))
            elif self.client_secret is not None and not fits_secret(
                self.client_secret.reveal(), self.assertion_algorithm
            ):
                yield Problem(
                    "client_secret",
                    None,
                    f"is too short to sign with {self.assertion_algorithm}",
                    "have the IdP make one of at least 32 characters (HS384: 48, HS512: 64)",
                )
        elif wanted is not None and method not in SIGNED_PROOFS:
            yield _algorithm_problem(wanted, "says how assertions are signed, and none is", "")

    @cross_check
    def _keys_that_sign(self) -> Iterable[Problem]:
        if self.client_signing_keys is None:
            return
        try:
            keys = self.signing_keys
            first = signature_of(keys[0])
        except UnusableKey as error:
            yield Problem("client_signing_keys", None, f"cannot be used: {error}", "name a file with another")
            return
        wanted = self.token_endpoint_auth_signing_alg
        if wanted is not None and not _signs(keys[0], wanted):
            yield _algorithm_problem(wanted, "does not go with the first of client_signing_keys", first)

    @cross_check
    def _certificate_of_the_key(self) -> Iterable[Problem]:
        if self.client_certificate is None:
            return
        if self.client_signing_keys is None:
            yield Problem(
                "client_certificate", None, "is given without client_signing_keys", "name the key's file"
            )
            return
        try:
            _ = self.certificate_chain
        except UnusableKey as error:
            yield Problem("client_certificate", None, f"cannot be used: {error}", "name the key's own")

    @cross_check
    def _keys_that_open(self) -> Iterable[Problem]:
        if self.client_decryption_keys is None:
            return
        try:
            for entry in self.decryption_keys:
                _check_reader(entry)
        except UnusableKey as error:
            yield Problem(
                "client_decryption_keys", None, f"cannot be used: {error}", "name a file with another"
            )

    @cached_property
    def certificate_chain(self) -> tuple[bytes, ...]:
        """The certificates of the first signing key in DER, its own first; none where none are configured.

        Raises:
            UnusableKey: they are not those of that key.
        """
        if self.client_certificate is None or self.client_signing_keys is None:
            return ()
        return load_pair(self.client_certificate.encode(), self.client_signing_keys.reveal().encode()).chain


def signature_of(entry: PrivateKey) -> str:
    """The algorithm that a key signs with when none is configured.

    Raises:
        UnusableKey: it signs with none, or not with the one that it says it is for.
    """
    for algorithm in SIGNING_ALGORITHMS if entry.alg is None else (entry.alg,):
        if _signs(entry, algorithm):
            return algorithm
    raise UnusableKey("a key does not sign, or not with the alg that it names")


def _check_reader(entry: PrivateKey) -> None:
    key = EncryptionKey(entry.key, entry.kid, entry.alg)
    if not any(key.fits(algorithm) for algorithm in KEY_ALGORITHMS):
        raise UnusableKey("nothing can be encrypted to a key, or not with the alg that it names")


def _signs(entry: PrivateKey, algorithm: str) -> bool:
    return VerificationKey(entry.key, entry.kid, entry.alg).fits(algorithm)


def _algorithm_problem(value: str, message: str, usable: str) -> Problem:
    fix = f"use {usable}" if usable else "remove it"
    return Problem("token_endpoint_auth_signing_alg", value, message, fix)
