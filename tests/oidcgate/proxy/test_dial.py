"""How an https upstream is spoken to: what is checked of it, and what our own files must be."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from oidcgate.proxy.dial import dialling, tls_context
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
