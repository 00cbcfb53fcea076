"""How a realm signs, as `provider.toml` says it: what is refused, with key and fix."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.settings import SettingsError, parse
from provider.config import ProviderSettings
from tests.oidcgate.jose.certified import certificate_pem, ec_key, key_pem
from tests.provider.world import World, config

EC = ec_key()
CERT, KEY = certificate_pem(EC).decode(), key_pem(EC).decode()
PAIR = {"signing_algorithm": "ES256", "signing_cert": CERT, "signing_key": KEY}


def parsed(**changes: Any) -> ProviderSettings:
    return parse(ProviderSettings, config(Path("x.db"), **changes))


def problems(**changes: Any) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parsed(**changes)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.row("S-28")
def test_the_usual_algorithm_is_rs256() -> None:
    settings = parsed()
    assert settings.signing_algorithm == "RS256"
    assert settings.offered_algorithms == settings.key_algorithms == ("RS256",)


@pytest.mark.parametrize(
    ("usual", "further", "offered", "with_keys"),
    [
        pytest.param("ES256", (), ("ES256", "RS256"), ("ES256", "RS256"), id="rs256-is-always-there"),
        pytest.param("RS256", ("ES256", "RS256"), ("RS256", "ES256"), ("RS256", "ES256"), id="each-once"),
        pytest.param(
            "PS256", ("HS256", "RS256"), ("PS256", "HS256", "RS256"), ("PS256", "RS256"), id="hmac-has-no-key"
        ),
    ],
)
def test_what_is_offered(usual: str, further: tuple[str, ...], offered: Any, with_keys: Any) -> None:
    settings = parsed(signing_algorithm=usual, further_signing_algorithms=list(further))
    assert (settings.offered_algorithms, settings.key_algorithms) == (offered, with_keys)


@pytest.mark.row("P-14", "S-29")
@pytest.mark.parametrize("alg", ["none", "HS256", "ES256K", "rs256", ""])
def test_no_other_algorithm_is_the_usual_one(alg: str) -> None:
    (problem,) = problems(signing_algorithm=alg)
    assert problem.startswith("signing_algorithm: ")


@pytest.mark.row("P-14")
@pytest.mark.parametrize("alg", ["none", "dir", "RSA-OAEP"])
def test_no_other_algorithm_is_offered(alg: str) -> None:
    (problem,) = problems(further_signing_algorithms=[alg])
    assert problem.startswith("further_signing_algorithms: ")
    assert parsed(further_signing_algorithms=[*SIGNING_ALGORITHMS, "HS256", "HS384", "HS512"])


@pytest.mark.row("P-14")
@pytest.mark.parametrize("alg", ["ES256", "HS256", "none"])
def test_an_api_asks_for_what_the_realm_has_a_key_for(alg: str) -> None:
    resources = [{"audience": "https://api.example", "signing_algorithm": alg}]
    (problem,) = problems(resources=resources, further_signing_algorithms=["HS256"])
    assert problem == f"resources[0].signing_algorithm: '{alg}' is not how this realm signs; use one of RS256"
    if alg == "ES256":
        assert parsed(resources=resources, further_signing_algorithms=["ES256"])


@pytest.mark.row("S-30")
def test_a_pair_in_place_and_in_files_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(CERT)
    (tmp_path / "key.pem").write_text(KEY)
    (tmp_path / "key.pem").chmod(0o600)
    files = {"signing_algorithm": "ES256", "signing_cert_file": "cert.pem", "signing_key_file": "key.pem"}
    of_files = parse(ProviderSettings, config(Path("x.db"), **files), base_dir=tmp_path).signing_pair
    in_place = parsed(**PAIR).signing_pair
    assert of_files is not None
    assert in_place is not None
    assert of_files.chain == in_place.chain
    assert parsed().signing_pair is None


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"signing_key": None},
            "signing_key: is missing beside signing_cert; set signing_key_file",
            id="no-key",
        ),
        pytest.param(
            {"signing_cert": None},
            "signing_cert: is missing beside signing_key; set signing_cert_file",
            id="no-certificate",
        ),
        pytest.param(
            {"signing_cert": certificate_pem(ec_key()).decode()},
            "signing_cert: cannot be used: the certificate belongs to another key; make a pair with `openssl",
            id="mismatch",
        ),
        pytest.param(
            {"signing_cert": "x"}, "signing_cert: cannot be used: the certificate is missing", id="no-pem"
        ),
        pytest.param(
            {"signing_key": "x"}, "signing_key: cannot be used: the key is missing", id="key-no-pem"
        ),
        pytest.param(
            {"signing_key": key_pem(EC, b"password").decode()},
            "signing_key: cannot be used: the key is encrypted",
            id="key-encrypted",
        ),
        pytest.param(
            {"signing_algorithm": "RS256"},
            "signing_algorithm: 'RS256' is not what the key of signing_key can do; set signing_algorithm = "
            '"ES256", or configure another pair',
            id="algorithm-of-another-kind",
        ),
        pytest.param(
            {"realms": [{"name": "other", **PAIR}]},
            "realms[0].signing_key: is the key of another realm too; make a pair of its own",
            id="two-realms",
        ),
        pytest.param(
            {"realms": [{"name": "other", "signing_cert": CERT}]},
            "realms[0].signing_key: is missing beside signing_cert",
            id="in-a-realm",
        ),
    ],
)
def test_a_pair_that_is_none(changes: dict[str, Any], message: str) -> None:
    (problem,) = problems(**{**PAIR, **changes})
    assert problem.startswith(message)
    assert KEY.splitlines()[1] not in problem


@pytest.mark.row("S-30")
def test_a_short_key_is_refused() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 (refused)
    pair = {"signing_cert": certificate_pem(short).decode(), "signing_key": key_pem(short).decode()}
    (problem,) = problems(**pair)
    assert problem.startswith("signing_key: cannot be used: an RSA key has to have 2048 to 8192 bits")


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("begins", "ends", "message"),
    [
        pytest.param(
            1_700_000_000, 1_799_999_999, "'2027-01-15 07:59:59Z' is when the certificate ended", id="ended"
        ),
        pytest.param(
            1_700_000_000, 1_800_000_000, "'2027-01-15 08:00:00Z' is when the certificate ended", id="now"
        ),
        pytest.param(
            1_800_000_001, 1_900_000_000, "'2027-01-15 08:00:01Z' is when the certificate begins", id="early"
        ),
    ],
)
@pytest.mark.parametrize("realm", ["default", "other"])
def test_a_certificate_that_is_not_valid_now_stops_the_start(
    database: Path, begins: int, ends: int, message: str, realm: str
) -> None:
    pair = {**PAIR, "signing_cert": certificate_pem(EC, begins=begins, ends=ends).decode()}
    before = database.read_bytes()
    changes = pair if realm == "default" else {"realms": [{"name": "other", **pair}]}
    with pytest.raises(SettingsError) as refused:
        World.over(database, **changes)
    (problem,) = refused.value.problems
    key = "signing_cert" if realm == "default" else "realms[0].signing_cert"
    assert str(problem).startswith(f"{key}: {message}")
    assert problem.fix
    assert database.read_bytes() == before, "nothing was touched"


@pytest.mark.parametrize(("begins", "ends"), [(1_800_000_000, 1_900_000_000), (1_700_000_000, 1_800_000_001)])
def test_a_certificate_of_this_moment_is_taken(database: Path, begins: int, ends: int) -> None:
    cert = certificate_pem(EC, begins=begins, ends=ends).decode()
    World.over(database, **{**PAIR, "signing_cert": cert}).provider.parts.store.dispose()


@pytest.mark.row("P-15")
def test_no_setting_shows_the_key() -> None:
    assert "PRIVATE KEY" not in repr(parsed(**PAIR))
    assert KEY.splitlines()[1] not in repr(parsed(**PAIR))
