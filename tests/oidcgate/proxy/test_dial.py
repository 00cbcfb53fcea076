"""How an https upstream is spoken to: what is checked of it, and what our own files must be."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from oidcgate.proxy.dial import dialling, file_faults, tls_context
from oidcgate.proxy.routes import Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble
from tests.support.tls import Authority


def test_without_tls_there_is_nothing_to_check() -> None:
    assert tls_context(Upstream("http://127.0.0.1:8081")) is None
    assert tls_context(Upstream("unix:/run/app.sock")) is None


def test_certificate_and_name_are_always_checked(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    for upstream in (
        Upstream("https://a.internal"),
        Upstream("https://b.internal", ca_file=authority.certificate),
    ):
        context = tls_context(upstream)
        assert context is not None
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_nobody_is_asked_for_the_pass_phrase_of_a_key(tmp_path: Path) -> None:
    issued = Authority.create(tmp_path).issue("sidecar.internal")
    key = serialization.load_pem_private_key(issued.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a secret"),
        )
    )
    upstream = Upstream("https://c.internal", client_cert_file=issued.certificate, client_key_file=locked)
    with pytest.raises(ssl.SSLError):
        tls_context(upstream)


def test_whatever_is_said_of_files_beforehand_is_what_speaking_would_fail_of(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    mine, other = authority.issue("a.internal"), authority.issue("b.internal")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    right = Upstream("https://d.internal", authority.certificate, mine.certificate, mine.key)
    assert file_faults(right) == []
    assert file_faults(Upstream("http://d.internal")) == []
    for upstream, fields in (
        (Upstream("https://d.internal", nothing), ["ca_file"]),
        (Upstream("https://d.internal", None, mine.certificate, other.key), ["client_cert_file"]),
        (Upstream("https://d.internal", nothing, nothing), ["ca_file", "client_cert_file"]),
        (Upstream("https://d.internal", tmp_path / "nowhere.pem"), ["ca_file"]),
    ):
        faults = file_faults(upstream)
        assert [field for field, _ in faults] == fields
        with pytest.raises(OSError) as raised:  # noqa: PT011 (the text is OpenSSL's)
            tls_context(upstream)
        assert str(raised.value) == str(faults[0][1])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), Trouble.CONNECT_TIMEOUT),
        (ssl.SSLCertVerificationError(1, "unknown"), Trouble.TLS),
        (ConnectionRefusedError(111, "Connection refused"), Trouble.UNREACHABLE),
        (FileNotFoundError(2, "No such file or directory"), Trouble.UNREACHABLE),
    ],
)
def test_what_a_failure_is_told_as(error: OSError, kind: Trouble) -> None:
    with pytest.raises(UpstreamTrouble) as told, dialling(5):
        raise error
    assert told.value.kind is kind
    assert told.value.detail == (
        "not connected within 5 s" if kind is Trouble.CONNECT_TIMEOUT else _text(error)
    )


def _text(error: OSError) -> str:
    return f"{type(error).__name__}: {error.strerror}"
