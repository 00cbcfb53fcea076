"""Codes of an authenticator: which are right and when, what is stored of a secret, what the QR code says."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.settings import parse
from oidcgate.web.sealing import KeyRing
from provider.config import ProviderSettings
from provider.factors import totp
from provider.factors.enrolment import grouped, otpauth_uri, qr_code
from provider.factors.totp import TotpSecrets, matching_step, new_secret
from provider.realm import Realm, realms_of
from tests.provider.sign_in.place import settings_document

RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # base32 of "12345678901234567890"
NOW = 1_800_000_000  # the first second of a step
STEP = NOW // 30
CODE = pyotp.TOTP(RFC_SECRET).at(NOW)


@pytest.mark.row("E-28")
@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_vectors_of_rfc_6238(now: int, code: str) -> None:
    assert matching_step(RFC_SECRET, code, now, 0) == now // 30


@pytest.mark.row("E-28")
@pytest.mark.parametrize(
    ("drift", "late_seconds", "right"),
    [
        pytest.param(0, 0, True, id="now"),
        pytest.param(0, 29, True, id="last-second-of-the-step"),
        pytest.param(0, 30, False, id="no-drift-one-second-late"),
        pytest.param(0, -1, False, id="no-drift-one-second-early"),
        pytest.param(1, 59, True, id="last-second-of-the-next-step"),
        pytest.param(1, 60, False, id="two-steps-late"),
        pytest.param(1, -30, True, id="one-step-early"),
        pytest.param(1, -31, False, id="two-steps-early"),
        pytest.param(2, 89, True, id="wider-window"),
    ],
)
def test_the_window(drift: int, late_seconds: int, right: bool) -> None:
    assert matching_step(RFC_SECRET, CODE, NOW + late_seconds, drift) == (STEP if right else None)


@pytest.mark.parametrize("code", [f"{CODE[:3]} {CODE[3:]}", f" {CODE}\t", " ".join(CODE)])
def test_spaces_do_not_count(code: str) -> None:
    assert matching_step(RFC_SECRET, code, NOW, 1) == STEP


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="empty"),
        pytest.param(CODE[:5], id="five"),
        pytest.param(CODE + "0", id="seven"),
        pytest.param("0" + CODE, id="leading-zero"),
        pytest.param(f"+{CODE}", id="sign"),
        pytest.param("".join(chr(0xFF10 + int(digit)) for digit in CODE), id="full-width-digits"),
        pytest.param("".join(chr(0x0660 + int(digit)) for digit in CODE), id="arabic-digits"),
        pytest.param(f"{CODE}\0", id="nul"),
        pytest.param("9" * 100_000, id="long"),
    ],
)
def test_no_other_spelling_is_a_code(code: str) -> None:
    assert matching_step(RFC_SECRET, code, NOW, 1) is None


@given(st.text(max_size=12))
def test_any_text_is_judged(code: str) -> None:
    assert matching_step(RFC_SECRET, code, NOW, 1) in (None, STEP - 1, STEP, STEP + 1)


def test_the_clock_of_1970_has_no_step_before_it() -> None:
    assert matching_step(RFC_SECRET, pyotp.HOTP(RFC_SECRET).at(0), 5, 10) == 0


@pytest.mark.row("P-15")
def test_every_step_of_the_window_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def note(ours: str, typed: str) -> bool:
        compared.append(ours)
        return ours == typed

    monkeypatch.setattr(totp.hmac, "compare_digest", note)
    first_of_the_window = pyotp.HOTP(RFC_SECRET).at(STEP - 1)
    for code in (first_of_the_window, "000000"):
        compared.clear()
        matching_step(RFC_SECRET, code, NOW, 1)
        assert compared == [pyotp.HOTP(RFC_SECRET).at(step) for step in (STEP - 1, STEP, STEP + 1)]


def test_secrets_are_long_and_new() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(re.fullmatch("[A-Z2-7]{32}", secret) for secret in secrets)


OLD, NEW = "o1d-Secret-that-was-in-use-before-0123456789", "n3w-Secret-that-is-in-use-today-9876543210"


@pytest.fixture
def realm() -> Realm:
    return realms_of(parse(ProviderSettings, settings_document()))[0]


@pytest.mark.row("P-15")
def test_what_is_stored_is_sealed_for_one_person_of_one_realm(realm: Realm) -> None:
    secrets = TotpSecrets(KeyRing([OLD]))
    sealed = secrets.seal(realm, "sub-alice", RFC_SECRET, NOW)
    assert RFC_SECRET not in sealed
    assert secrets.open(realm, "sub-alice", sealed) == RFC_SECRET
    assert secrets.open(realm, "sub-bob", sealed) is None
    assert secrets.open(replace(realm, issuer="https://id.example/r/second"), "sub-alice", sealed) is None
    assert secrets.open(realm, "sub-alice", sealed[:-4] + "AAAA") is None


def test_an_older_key_opens_and_a_missing_one_does_not(realm: Realm) -> None:
    sealed = TotpSecrets(KeyRing([OLD])).seal(realm, "a", RFC_SECRET, NOW)
    assert TotpSecrets(KeyRing([NEW, OLD])).open(realm, "a", sealed) == RFC_SECRET
    assert TotpSecrets(KeyRing([NEW])).open(realm, "a", sealed) is None


HOSTILE = [
    "alice",
    "al:ice",
    "?secret=AAAA&issuer=evil#",
    "\"'><script>alert(1)</script>",
    "Ünï cødé 😀",
    "日本語" * 80,
    "%3Ascript",
    "../..//",
    "a" * 255,
]


@pytest.mark.row("E-28", "P-03")
@pytest.mark.parametrize("account", HOSTILE)
def test_no_name_changes_what_the_authenticator_is_told(account: str) -> None:
    uri = otpauth_uri(RFC_SECRET, account=account, issuer="id.example")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    assert parse_qs(parts.query, strict_parsing=True) == {"secret": [RFC_SECRET], "issuer": ["id.example"]}
    issuer, colon, name = unquote(parts.path[1:]).partition(":")
    assert (issuer, colon) == ("id.example", ":")
    assert account.replace(":", "_").startswith(name)
    assert name
    assert ":" not in name
    assert len(uri) < 700


@pytest.mark.parametrize("account", HOSTILE)
def test_the_qr_code_is_paths_and_nothing_else(account: str) -> None:
    svg = str(qr_code(otpauth_uri(RFC_SECRET, account=account, issuer=account)))
    assert re.fullmatch(
        r'<svg viewBox="0 0 \d+ \d+"><path fill="#fff" d="[MhvzZm0-9 .-]+"/>'
        r'<path stroke="#000" d="[Mmhv0-9 .-]+"/></svg>',
        svg,
    ), svg[:300]


@given(st.text(max_size=255))
def test_any_name_has_a_qr_code(account: str) -> None:
    issuer = "😀" * 40
    assert qr_code(
        otpauth_uri(RFC_SECRET, account=account.encode("utf-8", "replace").decode(), issuer=issuer)
    )


def test_the_address_is_what_another_reader_takes() -> None:
    read = pyotp.parse_uri(otpauth_uri(RFC_SECRET, account="alice", issuer="The Provider"))
    assert (read.secret, read.name, read.issuer) == (RFC_SECRET, "alice", "The Provider")
    assert pyotp.TOTP(read.secret).at(NOW) == CODE


def test_the_key_is_shown_in_groups() -> None:
    assert grouped("ABCDEFGHIJ") == "ABCD EFGH IJ"
    assert grouped(RFC_SECRET).replace(" ", "") == RFC_SECRET
