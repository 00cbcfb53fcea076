"""Certificates and keys in PEM as an operator would have them, made by `cryptography` alone."""

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

BEGINS, ENDS = 1_790_000_000, 1_890_000_000


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    """The private key as `openssl genpkey` writes it."""
    encryption = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


def certificate_pem(
    key: Any,
    *,
    name: str = "id.example",
    issuer: str | None = None,
    issuer_key: Any = None,
    begins: int = BEGINS,
    ends: int = ENDS,
    usage: str | None = None,
    extension: x509.ExtensionType | None = None,
) -> bytes:
    """A certificate for `key`, self-signed unless an issuer is given; `usage` is the one it allows."""
    by = key if issuer_key is None else issuer_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(begins, UTC))
        .not_valid_after(datetime.fromtimestamp(ends, UTC))
    )
    if usage is not None:
        allowed = {
            name: name == usage
            for name in (
                "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
            )
        }  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(**allowed), critical=True)
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    algorithm = None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(by, algorithm).public_bytes(serialization.Encoding.PEM)


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A key that is quickly made."""
    return ec.generate_private_key(ec.SECP256R1())
