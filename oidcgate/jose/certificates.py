"""X.509 certificates of signing keys: a pair that was configured, and one made for a key of our own.

A certificate here says which key signs and until when. Nobody's trust in it is judged: whether a chain leads
to a root is for those who verify tokens by it. What a JWK says of a certificate is `oidcgate.jose.keys`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import OKPKey, RSAKey

from oidcgate.jose.keys import Key, UnusableKey, import_key, private_jwk
from oidcgate.jose.private_keys import private_key_from_pem

_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_MAX_CHAIN: Final = 10
# X.520 gives a common name no more.
_LONGEST_NAME: Final = 64
_CURVE_HASHES: Final[dict[str, type[_Hash]]] = {
    "P-256": hashes.SHA256,
    "P-384": hashes.SHA384,
    "P-521": hashes.SHA512,
}


class UnusableCertificate(UnusableKey):
    """What is wrong is the certificate, or that it is not the key's."""


class CertifiedKey(NamedTuple):
    """A private key with its certificates.

    Attributes:
        chain: DER, the key's own certificate first, each certified by the one after it.
        not_before_at, not_after_at: when its own certificate begins and ends, in epoch seconds.
    """

    key: Key
    chain: tuple[bytes, ...]
    not_before_at: int
    not_after_at: int


def load_pair(cert_pem: bytes, key_pem: bytes) -> CertifiedKey:
    """Return a key and its certificates from two PEM texts. Does not compare their dates with any clock.

    Args:
        cert_pem: The key's own certificate, then those that certify it, if any.
        key_pem: The private key, not encrypted.

    Raises:
        UnusableCertificate: Missing, unreadable, another key's, not in order, or not for signatures.
        UnusableKey: The key is missing, encrypted, unreadable, of a foreign kind, or too short.

    Spec: RFC 7517 4.7.
    """
    certificates = _certificates(cert_pem)
    key = import_key(private_jwk(private_key_from_pem(key_pem)))
    own = certificates[0]
    public = _public_bytes(key)
    holders = [index for index, certificate in enumerate(certificates) if _certified(certificate) == public]
    if not holders:
        raise UnusableCertificate("the certificate belongs to another key")
    if holders[0] != 0:
        raise UnusableCertificate("the certificate of the key itself is not the first one")
    for position, (issued, issuer) in enumerate(pairwise(certificates), start=2):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise UnusableCertificate(
                f"the certificate at place {position} did not issue the one before it"
            ) from None
    _may_sign(own)
    chain = tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in certificates)
    return CertifiedKey(key, chain, *_dates(own))


def chain_ends_at(chain: Sequence[bytes]) -> int:
    """Return when the first certificate of a chain in DER ends, in epoch seconds."""
    return _dates(x509.load_der_x509_certificate(chain[0]))[1]


def self_signed(key: Key, subject: str, not_before_at: int, not_after_at: int, serial: int) -> bytes:
    """Return a certificate that a key of ours makes for itself, in DER.

    Args:
        key: A private key.
        subject: The common name, cut to the 64 characters that one may have.
        not_before_at, not_after_at: Epoch seconds.
        serial: A positive number of at most 159 bits that no other certificate with this subject has.

    Spec: RFC 5280 4.1, 4.2.1.3, 4.2.1.9.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:_LONGEST_NAME])])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    private = _native(key)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.fromtimestamp(not_before_at, UTC))
        .not_valid_after(datetime.fromtimestamp(not_after_at, UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(private, _hash_for(key))
    )
    return certificate.public_bytes(serialization.Encoding.DER)


def _certificates(pem: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise UnusableCertificate("the certificate is missing: the text has no -----BEGIN CERTIFICATE-----")
    if pem.count(b"-----BEGIN CERTIFICATE-----") > _MAX_CHAIN:
        raise UnusableCertificate(f"the certificate comes with more than {_MAX_CHAIN - 1} others")
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise UnusableCertificate("the certificate cannot be read") from None


def _may_sign(certificate: x509.Certificate) -> None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except ValueError:
        raise UnusableCertificate("the certificate has extensions that cannot be read") from None
    if not (usage.digital_signature or usage.content_commitment):
        raise UnusableCertificate(
            "the certificate does not allow its key to sign: its key usage has no digitalSignature"
        )


def _certified(certificate: x509.Certificate) -> bytes | None:
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _public_bytes(key: Key) -> bytes:
    return key.public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _native(key: Key) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    return cast(rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, key.private_key)


def _hash_for(key: Key) -> _Hash | None:
    if isinstance(key, OKPKey):
        return None  # Ed25519 hashes by itself
    return hashes.SHA256() if isinstance(key, RSAKey) else _CURVE_HASHES[key.curve_name]()


def _dates(certificate: x509.Certificate) -> tuple[int, int]:
    return int(certificate.not_valid_before_utc.timestamp()), int(certificate.not_valid_after_utc.timestamp())
