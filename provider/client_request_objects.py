"""How a client sends authorization requests as tokens: the rules over these settings.

The settings themselves, with their defaults, are fields of `provider.client_settings`, which inherits the
rules. What a realm takes of them it says itself (`provider.request_object_settings`); keys and secrets are
`provider.client_crypto`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from oidcgate.jose.jwe import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from oidcgate.jose.keys import SIGNING_ALGORITHMS, UnusableKey, import_public_keys
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS
from oidcgate.protocol.request_object import UNSIGNED, request_uri_problem
from oidcgate.settings import Problem, cross_check
from provider.algorithm_names import unknown
from provider.client_rules import ClientRules
from provider.request_object_settings import RequestObjectSettings

_USUAL: Final = "RS256"


class SendingObjects(Protocol):
    """What says how a client signs its request objects."""

    @property
    def request_object_signing_alg(self) -> str:
        """As configured."""


def object_algorithm(client: SendingObjects) -> str:
    """The one algorithm in which a client signs its request objects; `none` for not at all."""
    return client.request_object_signing_alg or _USUAL


class RequestObjectRules(ClientRules):
    """The rules; the annotated names are the settings that they are over."""

    jwks_uri: str
    jwks: Mapping[str, Any]
    request_uris: tuple[str, ...]
    request_object_signing_alg: str
    request_object_encryption_alg: str
    request_object_encryption_enc: str
    require_signed_request_object: bool

    def request_object_problems(self, realm: RequestObjectSettings) -> Iterator[Problem]:
        """What its realm does not take, or asks for."""
        unsigned, alg = self.request_object_signing_alg == UNSIGNED, self.request_object_encryption_alg
        if unsigned and not realm.insecure_allow_unsigned:
            yield Problem(
                "request_object_signing_alg", UNSIGNED, "is not taken in this realm",
                "let the client sign, or set request_objects.insecure_allow_unsigned = true",
            )  # fmt: skip
        if unsigned and realm.require_signed:
            yield Problem(
                "request_object_signing_alg", UNSIGNED, "is set, but the realm has require_signed",
                "let the client sign its request objects",
            )  # fmt: skip
        if alg and alg not in realm.encryption_algorithms:
            yield Problem(
                "request_object_encryption_alg", alg, "has no key in this realm",
                "add it to request_objects.encryption_algorithms, or leave this out",
            )  # fmt: skip
        if self.require_signed_request_object and not realm.enabled:
            yield Problem(
                "require_signed_request_object", None, "is set, but the realm takes no request objects",
                "set request_objects.by_value = true, or leave this out",
            )  # fmt: skip

    def request_uri_problems(self, allow_http_loopback: bool) -> Iterator[Problem]:
        """What keeps its objects from being fetched. Only the provider says whether http may be."""
        for index, uri in enumerate(self.request_uris):
            problem = request_uri_problem(uri, allow_http_loopback=allow_http_loopback)
            if problem:
                yield Problem(
                    f"request_uris[{index}]", uri, problem, "give the https URL of the request object"
                )

    @cross_check
    def _known_object_algorithms(self) -> Iterable[Problem]:
        known = (*SIGNING_ALGORITHMS, *HMAC_ALGORITHMS, UNSIGNED)
        yield from unknown("request_object_signing_alg", self.request_object_signing_alg, known)
        alg, enc = self.request_object_encryption_alg, self.request_object_encryption_enc
        yield from unknown("request_object_encryption_alg", alg, KEY_ALGORITHMS)
        yield from unknown("request_object_encryption_enc", enc, CONTENT_ALGORITHMS)
        if enc and not alg:
            yield Problem(
                "request_object_encryption_enc", enc, "is set, but request_object_encryption_alg is not",
                "set both or neither",
            )  # fmt: skip

    @cross_check
    def _signed_where_it_has_to_be(self) -> Iterable[Problem]:
        if self.require_signed_request_object and self.request_object_signing_alg == UNSIGNED:
            yield Problem(
                "request_object_signing_alg", UNSIGNED, "is set beside require_signed_request_object",
                "name the algorithm that the client signs with",
            )  # fmt: skip

    @cross_check
    def _keys_to_verify_objects_with(self) -> Iterable[Problem]:
        alg = object_algorithm(self)
        says = self.request_object_signing_alg or self.require_signed_request_object
        if alg not in SIGNING_ALGORITHMS or not says:
            return
        if not self.jwks and not self.jwks_uri:
            yield Problem(
                "jwks_uri", None, "is missing, and so is jwks",
                f"set one of them: request objects signed with {alg} need a key of the client",
            )  # fmt: skip
        elif self.jwks and not _has_key(self.jwks, alg):
            yield Problem(
                "jwks", None, f"has no key for {alg}",
                "add one, or name the algorithm of its keys as request_object_signing_alg",
            )  # fmt: skip


def _has_key(jwks: Mapping[str, Any], alg: str) -> bool:
    try:
        return any(key.fits(alg) for key in import_public_keys(jwks))
    except UnusableKey:
        return True  # `provider.client_crypto` says so
