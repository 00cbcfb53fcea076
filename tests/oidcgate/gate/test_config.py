"""What a configuration may say, and that everything wrong with it is told at once."""

import os
from pathlib import Path
from typing import Any

import pytest

from oidcgate.gate.config import GateConfig, config_from_mapping, load_config
from oidcgate.settings import SettingsError, describe

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"


TENANT = "11111111-2222-3333-4444-555555555555"


def minimal(**tables: Any) -> dict[str, Any]:
    """The least that is a configuration, with `tables` laid over it; None takes a key away."""
    data: dict[str, Any] = {
        "public_url": "https://app.example.com",
        "provider": {"issuer": "https://id.example", "client_id": "app", "client_secret": "hidden-value"},
        "users": {"source": "any"},
        "session": {"secret": SECRET},
    }
    for table, values in tables.items():
        merged = {**data.get(table, {}), **values} if isinstance(values, dict) else values
        data[table] = merged
    return {
        table: {key: value for key, value in values.items() if value is not None}
        if isinstance(values, dict)
        else values
        for table, values in data.items()
        if values is not None
    }


def keys_of_problems(data: dict[str, Any]) -> set[str]:
    with pytest.raises(SettingsError) as caught:
        config_from_mapping(data)
    return {problem.key for problem in caught.value.problems}


@pytest.mark.row("F-12", "A-07")
def test_the_default_scopes_are_these_in_this_order() -> None:
    assert config_from_mapping(minimal()).identity_providers[0].scopes == ("openid", "profile", "email")


@pytest.mark.row("A-05", "F-11")
def test_the_callback_is_built_from_the_public_url_alone() -> None:
    config = config_from_mapping(minimal(public_url="https://app.example.com:8443"))
    assert (
        config.callback_url(config.identity_providers[0]) == "https://app.example.com:8443/.oidcgate/callback"
    )
    assert config.logged_out_url == "https://app.example.com:8443/.oidcgate/logged-out"


@pytest.mark.row("F-04")
def test_issuer_and_configuration_url_each_give_the_other() -> None:
    by_issuer = config_from_mapping(minimal()).identity_providers[0]
    assert by_issuer.discovery_url == "https://id.example/.well-known/openid-configuration"
    url = "https://id.example/t/.well-known/openid-configuration"
    by_url = config_from_mapping(minimal(provider={"issuer": None, "configuration_url": url}))
    assert by_url.identity_providers[0].expected_issuer == "https://id.example/t"
    assert by_url.identity_providers[0].discovery_url == url


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        pytest.param(
            {"provider": {"issuer": None}}, "provider.issuer", id="no-issuer", marks=pytest.mark.row("F-04")
        ),
        pytest.param(
            {"provider": {"configuration_url": "https://id.example/.well-known/openid-configuration"}},
            "provider.configuration_url",
            id="issuer-twice",
        ),
        pytest.param(
            {"provider": {"issuer": None, "configuration_url": "https://id.example/metadata"}},
            "provider.configuration_url",
            id="no-configuration-url",
        ),
        pytest.param(
            {"provider": {"client_id": None}},
            "provider.client_id",
            id="no-client-id",
            marks=pytest.mark.row("F-05"),
        ),
        pytest.param(
            {"provider": {"client_secret": None}},
            "provider.client_secret",
            id="no-client-secret",
            marks=pytest.mark.row("F-05"),
        ),
        pytest.param(
            {"session": {"refresh_before_seconds": 120}},
            "session.refresh_before_seconds",
            id="refresh-of-nothing",
        ),
        pytest.param({"provider": {"client_id": ""}}, "provider.client_id", id="client-id-empty"),
        pytest.param(
            {"provider": {"token_endpoint_auth_method": "none"}},
            "provider.client_secret",
            id="secret-never-sent",
        ),
        pytest.param({"provider": {"issuer": "http://id.example"}}, "provider.issuer", id="issuer-http"),
        pytest.param({"provider": {"issuer": "id.example"}}, "provider.issuer", id="issuer-no-url"),
        pytest.param(
            {"provider": {"issuer": "https://id.example/.well-known/openid-configuration"}},
            "provider.issuer",
            id="issuer-is-the-configuration-url",
        ),
        pytest.param(
            {"provider": {"issuer": "https://id.example?x=1"}}, "provider.issuer", id="issuer-query"
        ),
        # Each of these the discovery document's own check would refuse at the first sign-in.
        pytest.param({"provider": {"issuer": "https://id_x.example"}}, "provider.issuer", id="issuer-host"),
        pytest.param(
            {"provider": {"issuer": "https://id.example/{a}"}}, "provider.issuer", id="issuer-brace"
        ),
        pytest.param({"provider": {"issuer": "https://id.example:0"}}, "provider.issuer", id="issuer-port"),
        pytest.param({"provider": {"scopes": ["profile"]}}, "provider.scopes", id="no-openid"),
        pytest.param({"provider": {"scopes": ["openid", "a b"]}}, "provider.scopes", id="scope-of-two-words"),
        pytest.param(
            {"provider": {"id_token_algorithms": ["none"]}}, "provider.id_token_algorithms", id="alg-none"
        ),
        pytest.param(
            {"provider": {"id_token_algorithms": ["HS256"]}},
            "provider.client_secret",
            id="alg-of-a-short-secret",
        ),
        pytest.param({"provider": {"id_token_algorithms": []}}, "provider.id_token_algorithms", id="no-alg"),
        pytest.param(
            {"provider": {"logout_url": "javascript:alert(1)"}}, "provider.logout_url", id="logout-script"
        ),
        pytest.param(
            {"provider": {"logout_url": "http://intranet/bye"}}, "provider.logout_url", id="logout-http"
        ),
        pytest.param(
            {"provider": {"allow_networks": ["10.0.0.1/8"]}}, "provider.allow_networks", id="no-network"
        ),
        pytest.param({"provider": {"ca_file": "/nowhere/ca.pem"}}, "provider.ca_file", id="no-ca-file"),
        pytest.param(
            {"provider": {"response_mode": "fragment"}}, "provider.response_mode", id="response-mode"
        ),
        pytest.param({"public_url": None}, "public_url", id="no-public-url"),
        pytest.param({"public_url": "http://app.example.com"}, "public_url", id="public-http"),
        pytest.param({"public_url": "https://app.example.com/"}, "public_url", id="public-path"),
        pytest.param({"public_url": "https://App.example.com"}, "public_url", id="public-upper-case"),
        pytest.param({"public_url": "https://app.example.com:443"}, "public_url", id="public-default-port"),
        pytest.param({"public_url": "https://me@app.example.com"}, "public_url", id="public-user"),
        pytest.param({"public_url": "https://äpp.example.com"}, "public_url", id="public-not-ascii"),
        pytest.param({"users": None}, "users.source", id="users-must-be-said"),
        pytest.param({"users": {"source": "users.toml"}}, "users.source", id="users-without-kind"),
        pytest.param({"session": {"secret": None}}, "session.secret", id="no-secret"),
        pytest.param({"session": {"secret": "short"}}, "session.secret", id="weak-secret"),
        pytest.param({"session": {"secret": f"{SECRET}\nshort"}}, "session.secret", id="weak-second-secret"),
        pytest.param({"session": {"store": "memory"}}, "session.store", id="memory-beside-shared-state"),
        pytest.param({"session": {"store": "cookie"}}, "session.store", id="session-store"),
        pytest.param({"session": {"store": "redis://:pw@h1"}}, "session.store", id="redis-password"),
        pytest.param({"session": {"store": "redis://h1/x"}}, "session.store", id="redis-database"),
        pytest.param({"session": {"store": "sqlite:///"}}, "session.store", id="sqlite-nowhere"),
        pytest.param({"session": {"store": "mysql://h1"}}, "session.store", id="database-of-another-kind"),
        pytest.param({"session": {"store_password": "pw"}}, "session.store_password", id="password-unasked"),
        pytest.param({"session": {"max_per_user": -1}}, "session.max_per_user", id="fewer-than-none"),
        pytest.param(
            {"session": {"store": "redis://h1"}, "state": {"store": "memory"}},
            "state.store",
            id="redis-beside-state-of-one-process",
        ),
        pytest.param(
            {"session": {"store": "sqlite:///s.db"}, "state": {"store": "memory"}},
            "state.store",
            id="database-beside-state-of-one-process",
        ),
        pytest.param(
            {"session": {"store": "sql"}, "state": {"store": "redis://h1"}},
            "session.store",
            id="beside-a-state-that-is-no-database",
        ),
        pytest.param(
            {"session": {"store": "sql"}, "state": {"store": "memory"}},
            "session.store",
            id="beside-a-state-in-memory",
        ),
        pytest.param({"session": {"store": "memcached://h1:0"}}, "session.store", id="memcached-port"),
        pytest.param({"session": {"store": "memcached://"}}, "session.store", id="memcached-nowhere"),
        # What ended in one process would live on in what another one remembers.
        pytest.param(
            {"session": {"store": "memcached://h1"}, "state": {"store": "memory"}},
            "state.store",
            id="memcached-beside-state-of-one-process",
        ),
        pytest.param(
            {"session": {"idle_minutes": 60, "absolute_minutes": 30}},
            "session.idle_minutes",
            id="idle-too-long",
        ),
        pytest.param({"state": {"store": "redis"}}, "state.store", id="state-store"),
        pytest.param({"state": {"store": "memcached://h1"}}, "state.store", id="state-that-forgets"),
        pytest.param({"state": {"store": "sealed"}}, "state.store", id="state-sealed"),
        pytest.param({"state": {"store_password": "pw"}}, "state.store_password", id="state-password"),
        pytest.param({"state": {"revocation_lag_seconds": 0}}, "state.revocation_lag_seconds", id="no-lag"),
        pytest.param({"state": {"max_stale_seconds": -1}}, "state.max_stale_seconds", id="stale"),
        pytest.param({"rules": [{"path": "public", "allow": "anyone"}]}, "rules[0].path", id="rule-path"),
        pytest.param({"rules": [{"path": "/x", "allow": "all"}]}, "rules[0].allow", id="rule-allow"),
        pytest.param(
            {"rules": [{"path": "/x"}]},
            "rules[0].allow",
            id="rule-says-nothing",
            marks=pytest.mark.row("G-30"),
        ),
        pytest.param(
            {"rules": [{"path": "/x", "allow": "anyone", "max_age_seconds": 60}]},
            "rules[0].allow",
            id="rule-age",
        ),
        pytest.param({"provider": {"tempalte": "entrust"}}, "provider.tempalte", id="key-without-code"),
        pytest.param({"sidecar": {"upstream": "http://127.0.0.1"}}, "sidecar", id="table-without-code"),
        pytest.param({"provider": None}, "provider", id="no-provider"),
    ],
)
def test_one_thing_is_wrong(tables: dict[str, Any], key: str) -> None:
    assert keys_of_problems(minimal(**tables)) == {key}


def test_everything_wrong_is_told_at_once() -> None:
    data = minimal(
        public_url="http://app.example.com",
        provider={"client_id": None, "scopes": ["email"], "clock_skew_seconds": 9000},
        session={"secret": None, "same_site": "lax"},
        users={"source": "nobody"},
        rules=[{"path": "/a", "allow": "everyone"}, {"allow": "known"}],
    )
    assert keys_of_problems(data) == {
        "public_url",
        "provider.client_id",
        "provider.scopes",
        "provider.clock_skew_seconds",
        "session.secret",
        "session.same_site",
        "users.source",
        "rules[0].allow",
        "rules[1].path",
    }


@pytest.mark.row("A-04")
def test_no_problem_and_no_repr_shows_a_secret() -> None:
    data = minimal(public_url="http://app.example.com", session={"secret": "my-weak-secret"})
    with pytest.raises(SettingsError) as caught:
        config_from_mapping(data)
    assert "my-weak-secret" not in str(caught.value)
    assert "hidden-value" not in str(caught.value)
    assert "hidden-value" not in repr(config_from_mapping(minimal()))


@pytest.mark.row("G-13")
class TestSeveralProviders:
    """[[providers]]: told apart by issuer and name."""

    def two(self, **second: Any) -> dict[str, Any]:
        one = {"name": "One", "issuer": "https://one.example", "client_id": "a", "client_secret": "s"}
        other = {
            "name": "Two",
            "issuer": "https://two.example",
            "client_id": "b",
            "client_secret": "t",
            **second,
        }
        return minimal(provider=None, providers=[one, other])

    def test_one_or_several_it_is_a_tuple(self) -> None:
        assert [entry.client_id for entry in config_from_mapping(self.two()).identity_providers] == ["a", "b"]
        assert [entry.client_id for entry in config_from_mapping(minimal()).identity_providers] == ["app"]

    def test_an_issuer_is_used_once(self) -> None:
        assert keys_of_problems(self.two(issuer="https://one.example")) == {"providers[1].issuer"}

    def test_several_documents_of_one_issuer_are_one_issuer(self) -> None:
        entra: dict[str, Any] = {"template": "entra", "client_id": "a", "client_secret": "s"}
        one = {**entra, "name": "A", "tenant": "common", "allowed_tenants": [TENANT]}
        other = {
            **entra,
            "name": "B",
            "tenant": "organizations",
            "allowed_tenants": [TENANT.replace("1", "6")],
        }
        assert keys_of_problems(minimal(provider=None, providers=[one, other])) == {"providers[1].issuer"}

    def test_each_has_a_name_of_its_own(self) -> None:
        assert keys_of_problems(self.two(name="One")) == {"providers[1].name"}
        assert keys_of_problems(self.two(name="")) == {"providers[1].name"}

    def test_both_spellings_at_once_are_refused(self) -> None:
        data = {**self.two(), "provider": minimal()["provider"]}
        assert keys_of_problems(data) == {"providers"}

    def test_beside_the_one_the_others_are_counted_by_themselves(self) -> None:
        data = {**self.two(issuer="https://one.example"), "provider": minimal()["provider"]}
        assert keys_of_problems(data) == {"providers", "providers[1].issuer"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_http_is_for_this_machine(host: str) -> None:
    config = config_from_mapping(
        minimal(public_url=f"http://{host}:8000", provider={"issuer": f"http://{host}:9000"})
    )
    assert not config.secure
    assert config.identity_providers[0].on_loopback


def test_one_key_a_line(tmp_path: Path) -> None:
    config = config_from_mapping(minimal(session={"secret": f"{SECRET}\n\n{SECRET[::-1]}\n"}))
    assert [key.reveal() for key in config.session.secrets] == [SECRET, SECRET[::-1]]


FILE = """
public_url = "https://app.example.com"
[provider]
issuer = "https://id.example"
client_id = "app"
client_secret_file = "client.secret"
[users]
source = "file:users.toml"
[session]
secret_file = "session.secret"
"""


class TestTheFile:
    """oidcgate.toml and the environment over it."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        for name, text in (("client.secret", "from-the-file\n"), ("session.secret", SECRET + "\n")):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o600)
        path = tmp_path / "oidcgate.toml"
        path.write_text(FILE)
        return path

    @pytest.mark.row("A-04")
    def test_names_in_it_are_its_neighbours(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/")
        config = load_config(path, {})
        secret = config.identity_providers[0].client_secret
        assert secret is not None
        assert secret.reveal() == "from-the-file"
        assert config.users.source == f"file:{path.parent}/users.toml"
        assert config.state.store == f"sqlite:///{path.parent}/oidcgate-state.db"

    def test_a_relative_path_to_it_is_no_different(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        assert load_config("oidcgate.toml", {}) == load_config(path, {})

    def test_variables_override_single_keys(self, path: Path) -> None:
        env = {
            "OIDCGATE_PUBLIC_URL": "https://other.example.com",
            "OIDCGATE_PROVIDER__CLIENT_SECRET": "from-env",
            "OIDCGATE_PROVIDER__SCOPES": "openid email",
            "OIDCGATE_SESSION__IDLE_MINUTES": "5",
        }
        config = load_config(path, env)
        provider = config.identity_providers[0]
        assert config.public_url == "https://other.example.com"
        assert provider.client_secret is not None
        assert provider.client_secret.reveal() == "from-env"
        assert provider.scopes == ("openid", "email")
        assert config.session.idle_minutes == 5

    def test_a_secret_that_others_can_read_is_refused(self, path: Path) -> None:
        os.chmod(path.parent / "session.secret", 0o644)
        with pytest.raises(SettingsError) as caught:
            load_config(path, {})
        assert [problem.key for problem in caught.value.problems] == ["session.secret_file"]


def test_every_setting_says_what_it_is() -> None:
    assert [doc.key for doc in describe(GateConfig) if not doc.help] == []


def test_a_state_store_that_is_not_configured_lies_where_the_service_may_write(tmp_path: Path) -> None:
    file = tmp_path / "oidcgate.toml"
    secret = f'[session]\nsecret = "{SECRET}"\n'
    text = (
        'public_url = "https://app.example.com"\n[provider]\nissuer = "https://id.example"\n'
        'client_id = "app"\nclient_secret = "hidden-value"\n[users]\nsource = "any"\n' + secret
    )
    file.write_text(text)
    env = {"STATE_DIRECTORY": "/var/lib/oidcgate:/var/lib/other"}
    assert load_config(file, env).state.store == "sqlite:////var/lib/oidcgate/oidcgate-state.db"
    assert load_config(file, {}).state.store == f"sqlite:///{tmp_path}/oidcgate-state.db"
    # What the file says is in force, wherever the service runs.
    file.write_text(text + '[state]\nstore = "postgresql+psycopg://db/gate"\n')
    assert load_config(file, env).state.store == "postgresql+psycopg://db/gate"
