"""How a realm signs: algorithms, rotation, a certificate of its own.

Names, defaults and what contradicts what; nothing here knows the time, so whether a certificate is valid now
is asked with an instant. Keys themselves are `provider.services.keyring`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from oidcgate.jose.certificates import CertifiedKey, UnusableCertificate, load_pair
from oidcgate.jose.keys import SIGNING_ALGORITHMS, UnusableKey, VerificationKey
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS
from oidcgate.settings import FileText, Problem, Secret, cross_check, setting
from provider.instants import shown

_MAKE_A_PAIR = (
    "make a pair with `openssl req -x509 -newkey rsa:2048 -nodes`, docs/how-to/keys-and-certificates.md"
)


@dataclass(frozen=True)
class SigningSettings:
    """What a realm says of its signatures."""

    signing_algorithm: str = setting(
        default="RS256",
        choices=SIGNING_ALGORITHMS,
        help="How tokens are signed unless a client or an API asks for another algorithm.",
    )
    further_signing_algorithms: tuple[str, ...] = setting(
        default=(),
        choices=(*SIGNING_ALGORITHMS, *HMAC_ALGORITHMS),
        help="What clients and APIs may ask for beside it and RS256, which is always there.",
    )
    signing_cert: FileText | None = setting(
        default=None,
        help="PEM certificate of signing_key, those that certify it behind; none: keys make their own.",
    )
    signing_key: Secret | None = setting(
        default=None, help="PEM private key that signs with signing_algorithm; none: keys are generated."
    )

    key_rotation_days: int = setting(
        default=0,
        minimum=0,
        maximum=3650,
        help="After how many days a generated key is replaced; 0: only by `oidcgate-provider keys rotate`.",
    )

    @property
    def offered_algorithms(self) -> tuple[str, ...]:
        """How tokens can be signed, the usual way first, each once. Spec: OIDC Discovery 3 (RS256)."""
        return tuple(dict.fromkeys((self.signing_algorithm, *self.further_signing_algorithms, "RS256")))

    @property
    def key_algorithms(self) -> tuple[str, ...]:
        """Those of the offered ones that the realm has keys for; the others sign with a client's secret."""
        return tuple(alg for alg in self.offered_algorithms if alg in SIGNING_ALGORITHMS)

    @cached_property
    def signing_pair(self) -> CertifiedKey | None:
        """The configured key with its certificates.

        Raises:
            UnusableKey: they cannot be used.
        """
        if self.signing_cert is None or self.signing_key is None:
            return None
        return load_pair(self.signing_cert.encode(), self.signing_key.reveal().encode())

    def has_pair_for(self, alg: str) -> bool:
        """Whether the key of that algorithm is the configured one."""
        return self.signing_pair is not None and alg == self.signing_algorithm

    def certificate_problems(self, now: int) -> Iterator[Problem]:
        """What keeps the configured certificate from being used at this moment."""
        pair = self.signing_pair
        if pair is None:
            return
        if now >= pair.not_after_at:
            yield Problem(
                "signing_cert", shown(pair.not_after_at), "is when the certificate ended",
                "configure one that is valid, with its key",
            )  # fmt: skip
        if now < pair.not_before_at:
            yield Problem(
                "signing_cert", shown(pair.not_before_at), "is when the certificate begins",
                "wait until then, or set the clock of this machine right",
            )  # fmt: skip

    @cross_check
    def _pair_is_whole(self) -> Iterable[Problem]:
        if self.signing_cert is not None and self.signing_key is None:
            yield Problem("signing_key", None, "is missing beside signing_cert", "set signing_key_file")
        if self.signing_key is not None and self.signing_cert is None:
            yield Problem("signing_cert", None, "is missing beside signing_key", "set signing_cert_file")

    @cross_check
    def _pair_fits(self) -> Iterable[Problem]:
        try:
            pair = self.signing_pair
        except UnusableCertificate as error:
            yield Problem("signing_cert", None, f"cannot be used: {error}", _MAKE_A_PAIR)
            return
        except UnusableKey as error:
            yield Problem("signing_key", None, f"cannot be used: {error}", _MAKE_A_PAIR)
            return
        if pair is None:
            return
        key = VerificationKey(pair.key, None, None)
        if not key.fits(self.signing_algorithm):
            able = next(alg for alg in SIGNING_ALGORITHMS if key.fits(alg))
            yield Problem(
                "signing_algorithm", self.signing_algorithm, "is not what the key of signing_key can do",
                f'set signing_algorithm = "{able}", or configure another pair',
            )  # fmt: skip
