"""`provider.toml`: what is refused, with key and fix; what each setting becomes."""

from pathlib import Path
from typing import Any

import pytest

from oidcgate.settings import SettingsError, describe, parse
from provider.config import ProviderSettings, load_settings
from provider.realm import realms_of
from provider.realm_settings import Lifetimes
from tests.provider.refusals import told
from tests.provider.world import APP_SECRET, ISSUER, SECRET, config


def problems(**changes: Any) -> list[str]:
    """What is wrong with the test configuration after these changes."""
    try:
        parse(ProviderSettings, {**config(Path("x.db")), **changes})
    except SettingsError as error:
        return [str(problem) for problem in told(error)]
    return []


@pytest.mark.row("S-25")
@pytest.mark.parametrize(
    "issuer",
    [
        pytest.param("http://id.example", id="http"),
        pytest.param("https://id.example/", id="trailing-slash"),
        pytest.param("https://id.example/x/", id="path-with-trailing-slash"),
        pytest.param("https://id.example?x=1", id="query"),
        pytest.param("https://id.example?", id="empty-query"),
        pytest.param("https://id.example#x", id="fragment"),
        pytest.param("https://user@id.example", id="user-info"),
        pytest.param("https://ID.example", id="capital-host"),
        pytest.param("https://id.example/a//b", id="double-slash"),
        pytest.param("https://id.example/a/../b", id="dot-segments"),
        pytest.param("https://id.example/a%2fb", id="escaped"),
        pytest.param("https://", id="no-host"),
        pytest.param("id.example", id="no-scheme"),
        pytest.param("https://id.example:99999", id="port"),
        pytest.param("ftp://id.example", id="scheme"),
        pytest.param("https://id.exa mple", id="space"),
    ],
)
def test_urls_that_are_no_issuer(issuer: str) -> None:
    (problem,) = problems(issuer=issuer)
    assert problem.startswith("issuer: ")


@pytest.mark.parametrize("issuer", ["http://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:9000/x"])
def test_http_on_this_machine_needs_the_named_switch(issuer: str) -> None:
    assert "insecure" in problems(issuer=issuer)[0]
    assert problems(issuer=issuer, insecure_allow_http_loopback=True) == []


def test_http_elsewhere_is_refused_with_the_switch_too() -> None:
    assert problems(issuer="http://localhost.evil.example", insecure_allow_http_loopback=True)


@pytest.mark.row("S-53", "P-01", "P-03")
@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "http://localhost/cb",
        "http://localhost.evil.example/cb",
        "https://app.example/cb#x",
        "https://user@app.example/cb",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "//app.example/cb",
        "/cb",
        "",
        "https://app.example/\ncb",
        "https://app.example/a/../cb",
    ],
)
@pytest.mark.parametrize("key", ["redirect_uris", "post_logout_redirect_uris"])
def test_uris_that_may_not_be_registered(uri: str, key: str) -> None:
    client = {"client_id": "x", "client_secret": APP_SECRET, "redirect_uris": ["https://app.example/cb"]}
    found = problems(clients=[{**client, key: [uri]}])
    assert len(found) == 1
    assert found[0].startswith(f"clients[0].{key}[0]: ")


@pytest.mark.row("S-53")
def test_loopback_redirects_need_the_named_switch() -> None:
    client = {"client_id": "x", "client_secret": APP_SECRET, "redirect_uris": ["http://localhost:8000/cb"]}
    assert problems(clients=[client])
    assert problems(clients=[client], insecure_allow_http_loopback=True) == []


CLIENT = {"client_id": "x", "client_secret": APP_SECRET, "redirect_uris": ["https://app.example/cb"]}


@pytest.mark.row("S-47", "S-54")
@pytest.mark.parametrize(
    ("client", "key"),
    [
        pytest.param({**CLIENT, "client_id": "with space"}, "clients[0].client_id", id="id-with-space"),
        pytest.param({**CLIENT, "client_secret": "short"}, "clients[0].client_secret", id="short-secret"),
        pytest.param({**CLIENT, "client_secret": "a" * 60}, "clients[0].client_secret", id="regular-secret"),
        pytest.param(
            {**CLIENT, "client_secret": APP_SECRET * 3}, "clients[0].client_secret", id="long-secret"
        ),
        pytest.param({**CLIENT, "auth_method": "none"}, "clients[0].client_secret", id="public-with-secret"),
        pytest.param({**CLIENT, "client_secret": None}, "clients[0].client_secret", id="no-secret"),
        pytest.param(
            {**CLIENT, "client_secret_sha256": "0" * 64}, "clients[0].client_secret", id="two-secrets"
        ),
        pytest.param(
            {**CLIENT, "client_secret": None, "client_secret_sha256": "xyz"},
            "clients[0].client_secret_sha256",
            id="no-sha256",
        ),
        pytest.param({**CLIENT, "auth_method": "magic"}, "clients[0].auth_method", id="unknown-method"),
        pytest.param({**CLIENT, "flows": ["magic"]}, "clients[0].flows", id="unknown-flow"),
        pytest.param({**CLIENT, "scopes": ["admin"]}, "clients[0].scopes", id="unknown-scope"),
        pytest.param({**CLIENT, "redirect_uris": []}, "clients[0].redirect_uris", id="nowhere-to-answer"),
        pytest.param(
            {**CLIENT, "flows": ["authorization_code", "refresh_token"], "scopes": ["openid"]},
            "clients[0].scopes",
            id="refresh-without-offline-access",
        ),
        pytest.param({**CLIENT, "redirect_url": "x"}, "clients[0].redirect_url", id="misspelt-key"),
    ],
)
def test_clients_that_are_refused(client: dict[str, Any], key: str) -> None:
    (problem,) = problems(clients=[client])
    assert problem.startswith(key)
    assert APP_SECRET not in problem


def test_people_who_are_refused() -> None:
    (problem,) = problems(users=[{"user_name": "a", "password_hash": "secret"}])
    assert problem.startswith("users[0].password_hash: is no argon2id hash")
    assert "secret" not in problem


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"issuer": "http://localhost:9000"}, id="issuer"),
        pytest.param({"clients": [{**CLIENT, "redirect_uris": ["http://localhost/cb"]}]}, id="redirect-uri"),
    ],
)
def test_who_tries_it_out_is_told_of_the_switch(changes: dict[str, Any]) -> None:
    (problem,) = problems(**changes)
    assert problem.endswith("to try it out on this machine set insecure_allow_http_loopback = true")


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider.config.find_spec", lambda name: None)
    assert problems(database="postgresql+psycopg://u:pw@db/x") == [
        "database: needs psycopg; pip install 'oidcgate[sql]'"
    ]


@pytest.mark.row("S-27")
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        pytest.param({"clients": [CLIENT, CLIENT]}, "clients[1].client_id", id="client-twice"),
        pytest.param(
            {"users": [{"user_name": "Straße"}, {"user_name": "STRASSE"}]},
            "users[1].user_name",
            id="user-twice",
        ),
        pytest.param(
            {"users": [{"user_name": "a", "user_id": "1"}, {"user_name": "b", "user_id": "1"}]},
            "users[1].user_id",
            id="sub-twice",
        ),
        pytest.param({"realms": [{"name": "x"}, {"name": "x"}]}, "realms[1].name", id="realm-twice"),
        pytest.param({"realms": [{"name": "default"}]}, "realms[0].name", id="realm-default"),
        pytest.param({"realms": [{"name": "A/b"}]}, "realms[0].name", id="realm-name"),
        pytest.param(
            {"realms": [{"name": "x", "clients": [{**CLIENT, "redirect_uris": ["http://x"]}]}]},
            "realms[0].clients[0].redirect_uris[0]",
            id="client-in-a-realm",
        ),
        pytest.param({"database": "sqlite://"}, "database", id="database-in-memory"),
        pytest.param({"database": "mysql://u:hunter2@h/d"}, "database", id="database-unknown"),
        pytest.param({"secret": "weak"}, "secret", id="weak-secret"),
        pytest.param({"secret": f"{SECRET}\nweak"}, "secret", id="weak-second-secret"),
        pytest.param(
            {"trusted_networks": ["10.0.0.1/8"]}, "trusted_networks[0]", id="network-with-host-bits"
        ),
        pytest.param({"lifetimes": {"code_minutes": 11}}, "lifetimes.code_minutes", id="code-too-long"),
        pytest.param(
            {"lifetimes": {"access_token_hours": 0}}, "lifetimes.access_token_hours", id="zero-life"
        ),
    ],
)
def test_rules_over_the_whole_file(changes: dict[str, Any], key: str) -> None:
    (problem,) = problems(**changes)
    assert problem.startswith(f"{key}: ")
    assert "hunter2" not in problem


@pytest.mark.row("S-54")
def test_every_problem_is_named_at_once() -> None:
    found = problems(issuer="http://x.example", secret="weak", database="mysql://x")
    assert [line.split(":")[0] for line in found] == ["issuer", "secret", "database"]


def test_the_secret_does_not_show() -> None:
    settings = parse(ProviderSettings, config(Path("x.db")))
    assert SECRET not in repr(settings)
    assert APP_SECRET not in repr(settings)


def test_from_file_and_environment(tmp_path: Path) -> None:
    secret = tmp_path / "provider.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    file = tmp_path / "provider.toml"
    file.write_text(f'issuer = "{ISSUER}"\nsecret_file = "provider.secret"\n')
    settings = load_settings(file, {"OIDCPROVIDER_LIFETIMES__ACCESS_TOKEN_HOURS": "0.25"})
    assert settings.secret.reveal() == SECRET
    assert settings.lifetimes.access_token_seconds == 900


@pytest.mark.row("S-31", "S-32", "S-33", "S-34")
def test_lifetimes_in_seconds() -> None:
    lifetimes = Lifetimes(
        code_minutes=0.5,
        access_token_hours=0.25,
        id_token_hours=0.5,
        refresh_token_hours=1.5,
        clock_skew_minutes=0.1,
        interaction_minutes=2,
        session_idle_minutes=1.5,
        session_hours=0.5,
    )
    assert (
        lifetimes.code_seconds,
        lifetimes.access_token_seconds,
        lifetimes.id_token_seconds,
        lifetimes.refresh_token_seconds,
        lifetimes.clock_skew_seconds,
        lifetimes.interaction_seconds,
        lifetimes.session_idle_seconds,
        lifetimes.session_seconds,
    ) == (30, 900, 1800, 5400, 6, 120, 90, 1800)


@pytest.mark.row("S-33")
def test_the_skew_is_five_minutes_unless_set() -> None:
    assert Lifetimes().clock_skew_seconds == 300


@pytest.mark.row("E-28")
@pytest.mark.parametrize(
    ("realm", "client", "wrong"),
    [
        ("off", "required", True),
        ("off", "acr", True),
        ("off", "off", False),
        ("off", "realm", False),
        ("acr", "required", False),
        ("required", "off", False),
    ],
)
def test_a_client_asks_for_a_second_factor_only_where_there_is_one(
    realm: str, client: str, wrong: bool
) -> None:
    clients = config(Path("x.db"))["clients"]
    clients[1]["second_factor"] = client
    found = problems(clients=clients, second_factor={"mode": realm})
    named = problems(realms=[{"name": "second", "clients": clients, "second_factor": {"mode": realm}}])
    key = "clients[1].second_factor: "
    assert [problem.startswith(key) for problem in found] == [True] * wrong
    assert [problem.startswith(f"realms[0].{key}") for problem in named] == [True] * wrong


def test_every_setting_has_its_sentence() -> None:
    assert [doc.key for doc in describe(ProviderSettings) if not doc.help] == []


@pytest.mark.row("S-27")
def test_realms_have_issuers_under_the_first_one() -> None:
    settings = parse(
        ProviderSettings, config(Path("x.db"), issuer="https://h.example/id", realms=[{"name": "b2b"}])
    )
    assert [(r.id, r.issuer, r.path, r.url("/token")) for r in realms_of(settings)] == [
        ("default", "https://h.example/id", "/id", "https://h.example/id/token"),
        ("b2b", "https://h.example/id/r/b2b", "/id/r/b2b", "https://h.example/id/r/b2b/token"),
    ]


def test_pages_name_the_host_unless_told_otherwise() -> None:
    plain = parse(ProviderSettings, config(Path("x.db")))
    named = parse(ProviderSettings, config(Path("x.db"), display_name="Example"))
    assert [realms_of(s)[0].site for s in (plain, named)] == ["id.example", "Example"]
