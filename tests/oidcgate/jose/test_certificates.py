"""Certificates: which pairs are taken, what is said of the others, and what is published of them."""

import base64
import contextlib
import hashlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtensionOID
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.jose.certificates import (
    UnusableCertificate,
    chain_ends_at,
    load_pair,
    self_signed,
)
from oidcgate.jose.jwt import sign, verify
from oidcgate.jose.keys import (
    SIGNING_ALGORITHMS,
    Key,
    UnusableKey,
    generate_key,
    import_public_keys,
    public_jwk,
    x5_members,
)
from tests.oidcgate.jose.certified import BEGINS, ENDS, certificate_pem, ec_key, key_pem

RSA = rsa.generate_private_key(65537, 2048)
EC = ec_key()
ROOT = ec_key()
ISSUED = certificate_pem(EC, issuer="root", issuer_key=ROOT)
ROOT_CERTIFICATE = certificate_pem(ROOT, name="root")


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("key", "alg"),
    [
        pytest.param(RSA, "RS256", id="rsa"),
        pytest.param(EC, "ES256", id="p-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), "ES384", id="p-384"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), "ES512", id="p-521"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), "EdDSA", id="ed25519"),
    ],
)
def test_a_pair_signs_and_its_certificate_is_published(key: Any, alg: str) -> None:
    pair = load_pair(certificate_pem(key), key_pem(key))
    assert (pair.not_before_at, pair.not_after_at) == (BEGINS, ENDS) == (BEGINS, chain_ends_at(pair.chain))
    jwk = public_jwk(pair.key, "k", alg, pair.chain)
    token = sign({"sub": "x"}, pair.key, alg, kid="k")
    assert verify(token, import_public_keys({"keys": [jwk]}), (alg,)).claims == {"sub": "x"}
    # Whoever goes by the certificate instead of the key finds the same key.
    published = x509.load_der_x509_certificate(base64.b64decode(jwk["x5c"][0], validate=True))
    assert published.public_key() == key.public_key()


@pytest.mark.live
@pytest.mark.row("S-30")
def test_thumbprints_are_those_that_openssl_prints(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None, "make test installs it"
    (tmp_path / "cert.pem").write_bytes(ISSUED)

    def fingerprint(algorithm: str) -> str:
        done = subprocess.run(
            [openssl, "x509", "-in", tmp_path / "cert.pem", "-noout", "-fingerprint", f"-{algorithm}"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        digest = bytes.fromhex(done.stdout.partition("=")[2].strip().replace(":", ""))
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    members = x5_members(load_pair(ISSUED + ROOT_CERTIFICATE, key_pem(EC)).chain)
    assert members.keys() == {"x5c", "x5t", "x5t#S256"}
    assert members["x5t"] == fingerprint("sha1")
    assert members["x5t#S256"] == fingerprint("sha256")


@pytest.mark.row("S-30")
def test_the_chain_is_published_leaf_first_in_plain_base64() -> None:
    pair = load_pair(ISSUED + ROOT_CERTIFICATE, key_pem(EC))
    expected = ["".join(pem.decode().split("-----")[2].split()) for pem in (ISSUED, ROOT_CERTIFICATE)]
    assert x5_members(pair.chain)["x5c"] == expected
    own = base64.b64decode(expected[0])
    assert x5_members(pair.chain)["x5t#S256"] == (
        base64.urlsafe_b64encode(hashlib.sha256(own).digest()).decode().rstrip("=")
    )


def test_a_key_without_a_certificate_says_nothing_of_one() -> None:
    assert not {"x5c", "x5t", "x5t#S256"} & public_jwk(generate_key("ES256"), "k", "ES256").keys()


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        pytest.param(b"", "certificate is missing", id="empty"),
        pytest.param(key_pem(EC), "certificate is missing", id="a-key-instead"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate cannot be read",
            id="garbage",
        ),
        pytest.param(certificate_pem(ROOT), "belongs to another key", id="of-another-key"),
        pytest.param(ROOT_CERTIFICATE + ISSUED, "is not the first one", id="root-first"),
        pytest.param(
            ISSUED + certificate_pem(ec_key(), name="root"),
            "at place 2 did not issue the one before it",
            id="another-root-of-that-name",
        ),
        pytest.param(
            ISSUED + certificate_pem(ROOT, name="other"),
            "at place 2 did not issue the one before it",
            id="issuer-of-another-name",
        ),
        pytest.param(ISSUED * 11, "more than 9 others", id="chain-too-long"),
        pytest.param(
            certificate_pem(EC, usage="key_encipherment"), "does not allow its key to sign", id="key-usage"
        ),
    ],
)
def test_a_wrong_certificate_is_refused_by_what_is_wrong(certificate: bytes, message: str) -> None:
    with pytest.raises(UnusableCertificate, match=message):
        load_pair(certificate, key_pem(EC))


@pytest.mark.parametrize("usage", ["digital_signature", "content_commitment"])
def test_a_certificate_for_signatures_is_taken(usage: str) -> None:
    assert load_pair(certificate_pem(EC, usage=usage), key_pem(EC)).not_after_at == ENDS


@pytest.mark.row("S-30", "P-15")
@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param(b"", "key is missing", id="empty"),
        pytest.param(ISSUED, "key is missing", id="a-certificate-instead"),
        pytest.param(key_pem(EC, b"canary"), "key is encrypted", id="encrypted"),
        pytest.param(
            b"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n",
            "key cannot be read",
            id="garbage",
        ),
        pytest.param(
            key_pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 (refused)
            "RSA key has to have 2048 to 8192 bits",
            id="rsa-too-short",
        ),
        pytest.param(
            key_pem(ec.generate_private_key(ec.SECP256K1())), "curve that signs nothing", id="curve"
        ),
        pytest.param(
            key_pem(ec.generate_private_key(ec.BrainpoolP256R1())),
            "curve that is not known",
            id="rare-curve",
        ),
        pytest.param(key_pem(dsa.generate_private_key(1024)), "neither RSA nor EC", id="dsa"),  # noqa: S505 (refused)
    ],
)
def test_a_wrong_key_is_refused_by_what_is_wrong(key: bytes, message: str) -> None:
    with pytest.raises(UnusableKey, match=message) as caught:
        load_pair(ISSUED, key)
    assert not isinstance(caught.value, UnusableCertificate)
    assert "canary" not in str(caught.value)


@pytest.mark.row("S-30")
@pytest.mark.parametrize("alg", SIGNING_ALGORITHMS)
def test_a_key_of_ours_certifies_itself(alg: str) -> None:
    key: Key = generate_key(alg)
    certificate = x509.load_der_x509_certificate(self_signed(key, "id.example", BEGINS, ENDS, 77))
    certificate.verify_directly_issued_by(certificate)
    assert certificate.subject.rfc4514_string() == "CN=id.example"
    assert certificate.serial_number == 77
    assert certificate.public_key() == key.public_key
    assert chain_ends_at((self_signed(key, "id.example", BEGINS, ENDS, 77),)) == ENDS
    assert int(certificate.not_valid_before_utc.timestamp()) == BEGINS
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value == x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    hashed = certificate.signature_hash_algorithm
    assert (hashed and hashed.name) == {
        "ES384": "sha384",
        "ES512": "sha512",
        "EdDSA": None,
        "Ed25519": None,
    }.get(alg, "sha256")
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert not basic.value.ca


def test_the_dates_of_a_certificate_are_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        own = self_signed(generate_key("ES256"), "id.example", BEGINS, ENDS, 1)
    finally:
        monkeypatch.undo()
        time.tzset()
    certificate = x509.load_der_x509_certificate(own)
    assert int(certificate.not_valid_before_utc.timestamp()) == BEGINS
    assert int(certificate.not_valid_after_utc.timestamp()) == ENDS


def test_a_chain_of_ten_is_taken() -> None:
    assert len(load_pair(certificate_pem(EC) * 10, key_pem(EC)).chain) == 10


def test_an_extension_that_cannot_be_read_is_refused() -> None:
    garbled = certificate_pem(EC, extension=x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"garbage"))
    with pytest.raises(UnusableCertificate, match="has extensions that cannot be read"):
        load_pair(garbled, key_pem(EC))


def test_a_long_host_is_cut_to_what_a_common_name_may_have() -> None:
    key = generate_key("ES256")
    certificate = x509.load_der_x509_certificate(self_signed(key, "a" * 70 + ".example", BEGINS, ENDS, 1))
    assert certificate.subject.rfc4514_string() == "CN=" + "a" * 64


@given(
    st.integers(0, len(ISSUED) - 1),
    st.binary(max_size=6),
    st.sampled_from(["certificate", "key"]),
    st.booleans(),
)
@example(0, b"", "certificate", True)
@example(30, b"\x00\xff", "certificate", False)
@example(40, b"\x00\xff", "key", False)
def test_a_damaged_pair_is_a_pair_or_unusable(at: int, put: bytes, which: str, cut: bool) -> None:
    """One place of either text is written over, or all behind it is lost: nothing else ever comes out."""
    texts = {"certificate": ISSUED, "key": key_pem(EC)}
    text = texts[which]
    texts[which] = text[:at] + put + (b"" if cut else text[at + len(put) :])
    with contextlib.suppress(UnusableKey):
        assert load_pair(texts["certificate"], texts["key"]).chain
