"""How a client proves itself, and how what it gets is signed and encrypted: the rules over these settings.

The settings themselves, with their defaults, are fields of `provider.client_settings`, which inherits the
rules. Algorithms are those of `oidcgate.jose`; what a realm offers of them it says itself.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Protocol

from oidcgate.jose.jwe import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from oidcgate.jose.keys import SIGNING_ALGORITHMS, UnusableKey, import_public_keys
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS
from oidcgate.net.addresses import AddressRules
from oidcgate.settings import Problem, Secret, cross_check
from provider.algorithm_names import unknown
from provider.client_rules import ClientRules

AUTH_METHODS: Final = (
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none",
)  # fmt: skip

#: OIDC Registration 2: how the content is encrypted where a client does not say.
DEFAULT_ENC: Final = "A128CBC-HS256"

_WITH_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
#: 43 characters of base64url carry 256 bits.
_SHORTEST_CLIENT_SECRET = 43
_LONGEST_CLIENT_SECRET = 100
#: RFC 7518 3.2: as long as the hash. HS256 is content with the shortest secret there is.
_LEAST_FOR_HMAC: Final = {"HS384": 48, "HS512": 64}
_SIGNED: Final = ("id_token_signed_response_alg", "userinfo_signed_response_alg")
#: What may be signed with its secret, by us or by itself.
_BY_SECRET: Final = (*_SIGNED, "request_object_signing_alg")
#: Whether there has to be a secret, and its text, depends on these settings alone.
SECRET_DECIDING: Final = ("auth_method", *_BY_SECRET)
_ASSERTION_ALGORITHMS: Final = {"client_secret_jwt": HMAC_ALGORITHMS, "private_key_jwt": SIGNING_ALGORITHMS}


class Asserting(Protocol):
    """What says how a client signs its assertions."""

    @property
    def auth_method(self) -> str:
        """One of `AUTH_METHODS`."""

    @property
    def token_endpoint_auth_signing_alg(self) -> str:
        """As configured."""


def assertion_algorithm(client: Asserting) -> str:
    """The one algorithm in which a client signs its assertions."""
    usual = "HS256" if client.auth_method == "client_secret_jwt" else "RS256"
    return client.token_endpoint_auth_signing_alg or usual


class CryptoRules(ClientRules):
    """The rules; the annotated names are the settings that they are over."""

    client_secret: Secret | None
    client_secret_sha256: str | None
    token_endpoint_auth_signing_alg: str
    jwks_uri: str
    jwks: Mapping[str, Any]
    id_token_signed_response_alg: str
    id_token_encrypted_response_alg: str
    id_token_encrypted_response_enc: str
    userinfo_signed_response_alg: str
    userinfo_encrypted_response_alg: str
    userinfo_encrypted_response_enc: str
    request_object_signing_alg: str

    @property
    def needs_secret(self) -> bool:
        """Whether it has a secret at all."""
        return self.auth_method in _WITH_SECRET or self.needs_secret_text

    @property
    def needs_secret_text(self) -> bool:
        """Whether its secret has to be kept as it is, and not as a hash: it makes or checks signatures."""
        return self.auth_method == "client_secret_jwt" or any(
            getattr(self, name) in HMAC_ALGORITHMS for name in _BY_SECRET
        )

    def algorithm_problems(self, offered: Collection[str]) -> Iterator[Problem]:
        """What its realm does not sign with."""
        for name in _SIGNED:
            value = getattr(self, name)
            if value and value not in offered:
                yield Problem(
                    name, value, "is not offered by this realm",
                    f"use one of {', '.join(offered)}, or let the realm offer it",
                )  # fmt: skip

    def jwks_uri_problem(self, allow_http_loopback: bool) -> Problem | None:
        """What keeps `jwks_uri` from being fetched. Only the provider says whether http may be."""
        rules = AddressRules(insecure_allow_http_loopback=allow_http_loopback)
        problem = rules.url_problem(self.jwks_uri) if self.jwks_uri else None
        if problem is None:
            return None
        return Problem("jwks_uri", self.jwks_uri, f"is never fetched: {problem}", "give an https URL")

    @cross_check
    def _one_strong_proof(self) -> Iterator[Problem]:
        given = [n for n in ("client_secret", "client_secret_sha256") if getattr(self, n) is not None]
        if not self.needs_secret:
            for name in given:
                yield Problem(
                    name, None, f"is set, but auth_method is {self.auth_method}", "remove one of the two"
                )
        elif len(given) != 1:
            what = "is missing" if not given else "is set beside client_secret_sha256"
            yield Problem(
                "client_secret",
                None,
                what,
                "set one of client_secret, client_secret_file and client_secret_sha256",
            )
        elif self.needs_secret_text and self.client_secret is None:
            yield Problem(
                "client_secret_sha256", None, "is not enough to make or check signatures with",
                "give client_secret or client_secret_file instead",
            )  # fmt: skip
        if self.client_secret is not None:
            problem = client_secret_problem(self.client_secret.reveal())
            if problem:
                yield Problem("client_secret", None, problem, "let `oidcgate-provider client add` make one")
        if self.client_secret_sha256 is not None and not re.fullmatch(
            "[0-9a-f]{64}", self.client_secret_sha256
        ):
            yield Problem(
                "client_secret_sha256",
                None,
                "is not 64 small hexadecimal digits",
                "compute it with sha256sum",
            )

    @cross_check
    def _secret_as_long_as_the_hash(self) -> Iterator[Problem]:
        secret = "" if self.client_secret is None else self.client_secret.reveal()
        for name in (*_BY_SECRET, "token_endpoint_auth_signing_alg"):
            least = _LEAST_FOR_HMAC.get(getattr(self, name), 0)
            if secret and len(secret) < least:
                yield Problem(
                    "client_secret", None, f"is shorter than the {least} characters that {name} needs",
                    "give a longer one, or use HS256",
                )  # fmt: skip

    @cross_check
    def _assertions_of_one_kind(self) -> Iterator[Problem]:
        value = self.token_endpoint_auth_signing_alg
        known = _ASSERTION_ALGORITHMS.get(self.auth_method)
        if known is None and value:
            yield Problem(
                "token_endpoint_auth_signing_alg", value, f"is set, but auth_method is {self.auth_method}",
                "remove it, or use client_secret_jwt or private_key_jwt",
            )  # fmt: skip
        elif known is not None:
            yield from unknown("token_endpoint_auth_signing_alg", value, known)

    @cross_check
    def _keys_to_verify_with(self) -> Iterator[Problem]:
        if self.jwks and self.jwks_uri:
            yield Problem("jwks", None, "is set beside jwks_uri", "keep one of the two")
        elif self.auth_method == "private_key_jwt" and not self.jwks and not self.jwks_uri:
            yield Problem(
                "jwks_uri", None, "is missing, and so is jwks", "set one of them: private_key_jwt needs a key"
            )

    @cross_check
    def _public_keys(self) -> Iterator[Problem]:
        if not self.jwks:
            return
        try:
            keys = import_public_keys(self.jwks)
        except UnusableKey as error:
            # Shown is nothing of it: somebody may have put a private key there.
            yield Problem("jwks", None, f"cannot be used: {error}", "give the public keys only")
            return
        alg = assertion_algorithm(self)
        if self.auth_method == "private_key_jwt" and not any(key.fits(alg) for key in keys):
            yield Problem(
                "jwks", None, f"has no key for {alg}",
                "add one, or name the algorithm of its keys as token_endpoint_auth_signing_alg",
            )  # fmt: skip

    @cross_check
    def _signatures(self) -> Iterator[Problem]:
        for name in _SIGNED:
            value = getattr(self, name)
            yield from unknown(name, value, (*SIGNING_ALGORITHMS, *HMAC_ALGORITHMS))
        for name in _BY_SECRET:
            value = getattr(self, name)
            if value in HMAC_ALGORITHMS and self.public:
                yield Problem(
                    name, value, "signs with a secret, and a client with auth_method none keeps none",
                    "use RS256, or give the client another auth_method",
                )  # fmt: skip

    @cross_check
    def _encryption(self) -> Iterator[Problem]:
        for what in ("id_token", "userinfo"):
            alg_name, enc_name = (f"{what}_encrypted_response_{part}" for part in ("alg", "enc"))
            alg, enc = getattr(self, alg_name), getattr(self, enc_name)
            yield from unknown(alg_name, alg, KEY_ALGORITHMS)
            yield from unknown(enc_name, enc, CONTENT_ALGORITHMS)
            if enc and not alg:
                yield Problem(enc_name, enc, f"is set, but {alg_name} is not", "set both or neither")
            if alg and not self.jwks_uri:
                yield Problem(
                    "jwks_uri", None, f"is missing: {alg_name} needs a key of the client",
                    "give the https URL where the client publishes its keys",
                )  # fmt: skip

    @cross_check
    def _nothing_encrypted_unsigned(self) -> Iterator[Problem]:
        if self.userinfo_encrypted_response_alg and not self.userinfo_signed_response_alg:
            # Whoever knows the client's public key could have made such an answer (P-08).
            yield Problem(
                "userinfo_signed_response_alg", None, "is not set: what is encrypted is always signed first",
                "set it, to RS256 for instance",
            )  # fmt: skip


def client_secret_problem(secret: str) -> str | None:
    """What is wrong with a client secret that a person chose; None for nothing."""
    if not re.fullmatch(r"[!-~]*", secret):
        return "has characters outside visible ASCII"
    if len(secret) < _SHORTEST_CLIENT_SECRET or len(set(secret)) < 12:
        return "is too weak: it needs 256 bits"
    if len(secret) > _LONGEST_CLIENT_SECRET:
        return f"is longer than {_LONGEST_CLIENT_SECRET} characters"
    return None
