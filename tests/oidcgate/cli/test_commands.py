"""`oidcgate check`, `init`, `secret`."""

import errno
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.discovery import Discovery, ProviderUnavailable
from oidcgate.gate.local_users import line_for
from oidcgate.jose.keys import generate_key
from oidcgate.protocol.metadata import ProviderMetadata
from oidcgate.storage.memcached import MemcachedCache
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from oidcgate.web.sealing import KeyRing
from tests.support.servers import free_port

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
METADATA = ProviderMetadata(
    issuer="https://id.example",
    authorization_endpoint="https://id.example/authorize",
    token_endpoint="https://id.example/token",
    jwks_uri="https://id.example/jwks",
    userinfo_endpoint=None,
    end_session_endpoint=None,
    revocation_endpoint=None,
    check_session_iframe=None,
    pushed_authorization_request_endpoint=None,
    require_pushed_authorization_requests=False,
    id_token_signing_alg_values_supported=("RS256",),
    token_endpoint_auth_methods_supported=("client_secret_basic",),
    token_endpoint_auth_signing_alg_values_supported=None,
    code_challenge_methods_supported=("S256",),
    scopes_supported=("openid", "profile", "email"),
    iss_parameter_supported=True,
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"OIDCGATE_CONFIG": None})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "oidcgate.toml"
    path.write_text(
        'public_url = "https://app.example.com"\n'
        '[provider]\nissuer = "https://id.example"\nclient_id = "app"\nclient_secret = "do-not-show"\n'
        f'[users]\nsource = "file:users.toml"\n[session]\nsecret = "{SECRET}"\n'
    )
    (tmp_path / "users.toml").write_text('[[users]]\nuserName = "Alice"\n')
    return path


@pytest.fixture
def idp(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the IdP says; `error` makes it say nothing."""
    said: dict[str, Any] = {}

    def metadata(self: Discovery) -> ProviderMetadata:
        if "error" in said:
            answered = said.get("answered", False)
            raise ProviderUnavailable("https://id.example", said["error"], 1, answered=answered)
        return METADATA.__class__(**{**METADATA.__dict__, **said})

    monkeypatch.setattr(Discovery, "metadata", metadata)
    return said


class TestCheck:
    """All problems, or what is in force."""

    @pytest.mark.row("A-05", "A-07")
    def test_right(self, config: Path, idp: dict[str, Any]) -> None:
        result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert "https://app.example.com/.oidcgate/callback" in result.stdout
        assert "https://app.example.com/.oidcgate/logged-out" in result.stdout
        assert "scopes        openid profile email" in result.stdout
        assert "do-not-show" not in result.output
        assert SECRET not in result.output
        assert result.stderr == ""
        *_, verdict, hint = result.stdout.splitlines()
        assert verdict == "The configuration is right."
        assert "secret, `oidcgate doctor` tells" in hint

    def test_every_problem_at_once(self, config: Path) -> None:
        config.write_text(
            'public_url = "http://app.example.com"\n[provider]\nissuer = "x"\n[sesion]\n[users]\n'
        )
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        named = {line.split(":")[0] for line in result.stderr.splitlines()}
        assert named == {
            "public_url",
            "provider.issuer",
            "provider.client_id",
            "sesion",
            "provider.client_secret",
            "users.source",
        }
        assert "did you mean 'session'" in result.stderr
        assert result.stdout == ""

    def test_no_file(self, tmp_path: Path) -> None:
        result = run("check", "--config", str(tmp_path / "nothing.toml"))
        assert result.exit_code == 1
        assert "nothing.toml: cannot be read: No such file" in result.stderr
        assert "write it with the command init" in result.stderr

    def test_a_folder_in_place_of_the_file(self, tmp_path: Path) -> None:
        for command in (["check"], ["serve", "--check"]):
            result = run(*command, "--config", str(tmp_path))
            assert result.exit_code == 1
            assert result.stderr == f"{tmp_path}: is a folder; name a file\n"

    @pytest.mark.parametrize("command", [["check"], ["serve", "--check"]], ids=" ".join)
    def test_a_file_that_may_not_be_read(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
    ) -> None:
        def closed(_: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied")

        # Root, who may run the tests, can read everything.
        monkeypatch.setattr(Path, "read_bytes", closed)
        monkeypatch.setattr("os.access", lambda *_: False)
        result = run(*command, "--config", str(config))
        assert result.exit_code == 1
        assert "let the user that runs this read it (chown, chmod)" in result.stderr

    @pytest.mark.row("A-07")
    def test_scopes_that_the_idp_does_not_offer(self, config: Path, idp: dict[str, Any]) -> None:
        idp["scopes_supported"] = ("openid",)
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert "does not offer profile email" in result.stderr

    @pytest.mark.row("A-07")
    def test_an_idp_that_does_not_say_its_scopes(self, config: Path, idp: dict[str, Any]) -> None:
        idp["scopes_supported"] = None
        assert run("check", "--config", str(config)).exit_code == 0

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            pytest.param(
                {"token_endpoint_auth_methods_supported": ("private_key_jwt",)}, "no client secret", id="auth"
            ),
            pytest.param({"code_challenge_methods_supported": ("plain",)}, "without S256", id="pkce"),
            pytest.param({"id_token_signing_alg_values_supported": ()}, "signs with none", id="alg"),
        ],
    )
    def test_an_idp_that_does_not_fit(
        self, config: Path, idp: dict[str, Any], said: dict[str, Any], told: str
    ) -> None:
        idp |= said
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert told in result.stderr

    def test_requests_that_cannot_be_pushed(self, config: Path, idp: dict[str, Any]) -> None:
        always = 'client_id = "app"\npushed_authorization_requests = "always"'
        config.write_text(config.read_text().replace('client_id = "app"', always))
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert "takes no pushed requests" in result.stderr

    def test_a_session_that_cannot_be_watched(self, config: Path, idp: dict[str, Any]) -> None:
        watched = 'client_id = "app"\nsession_check_seconds = 5'
        config.write_text(config.read_text().replace('client_id = "app"', watched))
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert "has no check_session_iframe" in result.stderr
        idp["check_session_iframe"] = "https://id.example/check"
        assert run("check", "--config", str(config)).exit_code == 0

    def test_the_address_of_the_gates_keys(self, config: Path, idp: dict[str, Any]) -> None:
        idp["token_endpoint_auth_methods_supported"] = ("private_key_jwt",)
        key = config.parent / "key.pem"
        key.touch(mode=0o600)
        key.write_bytes(generate_key("ES256").as_pem(private=True))
        text = config.read_text().replace(
            'client_secret = "do-not-show"', 'client_signing_keys_file = "key.pem"'
        )
        config.write_text(text)
        result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert "jwks_uri      https://app.example.com/.oidcgate/jwks.json" in result.stdout
        idp["token_endpoint_auth_signing_alg_values_supported"] = ("RS256", "PS256")
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert "does not take what ES256 signs" in result.stderr

    @pytest.mark.row("A-01", "A-05", "A-07")
    def test_each_host_is_listed(self, config: Path, idp: dict[str, Any]) -> None:
        text = config.read_text().replace(
            'public_url = "https://app.example.com"',
            'public_urls = ["https://app.example.com", "https://wiki.example.com"]',
        )
        rule = '[[rules]]\npath = "/open"\nallow = "anyone"\nhosts = ["wiki.example.com"]\n'
        config.write_text(text + rule)
        result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        for host in ("app", "wiki"):
            at = f"URI to register at https://id.example: https://{host}.example.com"
            assert f"\nredirect {at}/.oidcgate/callback\n" in f"\n{result.output}"
            assert f"\npost-logout redirect {at}/.oidcgate/logged-out\n" in result.output
        assert result.output.count("backchannel-logout") == 1
        assert "all methods /open at wiki.example.com: anyone" in result.output

    def test_a_template(self, config: Path, idp: dict[str, Any]) -> None:
        entrust = 'template = "entrust"\ndomain = "t.us.trustedauth.com"'
        config.write_text(config.read_text().replace('issuer = "https://id.example"', entrust))
        result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert "https://t.us.trustedauth.com/api/oidc/.well-known/openid-configuration" in result.stdout
        assert "https://app.example.com/.oidcgate/callback" in result.stdout

    @pytest.mark.row("G-17")
    def test_an_idp_that_is_away_is_no_problem_of_the_configuration(
        self, config: Path, idp: dict[str, Any]
    ) -> None:
        idp["error"] = "gone"
        result = run("check", "--config", str(config))
        assert result.exit_code == 0
        assert "gone" in result.stderr
        # Nobody is to take it for a sign-in that works.
        assert result.stdout.endswith("The file is right; not reached: https://id.example.\n")

    def test_it_says_what_becomes_of_claims(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "  groups        not fetched\n" in run("check", "--offline", "--config", str(config)).stdout
        for name, value in (("FETCH_GROUPS", "true"), ("HOOK", "os.path:join"), ("HOOK_REQUIRED", "false")):
            monkeypatch.setenv(f"OIDCGATE_PROVIDER__{name}", value)
        told = run("check", "--offline", "--config", str(config)).stdout
        assert "  groups        fetched\n" in told
        assert "  hook          os.path:join; when it fails it is passed over\n" in told
        assert "                keep preferred_username, name, email, groups\n" in told
        monkeypatch.setenv("OIDCGATE_PROVIDER__HOOK", "no_such_module_anywhere:f")
        missing = run("check", "--offline", "--config", str(config))
        assert missing.exit_code == 1
        assert "provider.hook: 'no_such_module_anywhere:f' is not there" in missing.stderr

    @pytest.mark.parametrize("source", ["sql", "scim", "ldap"])
    def test_a_table_that_is_missing_is_told_once(self, config: Path, source: str) -> None:
        config.write_text(config.read_text().replace("file:users.toml", source))
        result = run("check", "--offline", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr == f"users.{source}: is missing; add [users.{source}]\n"

    @pytest.mark.parametrize("name", ["zoe", "Carol"], ids=["unknown", "not-active"])
    def test_a_break_glass_user_whom_the_directory_keeps_out(
        self, config: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Discovery, "metadata", lambda _: METADATA)
        users = '[[users]]\nuserName = "alice"\n[[users]]\nuserName = "carol"\nactive = false\n'
        (config.parent / "users.toml").write_text(users)
        people = config.parent / "people"
        people.write_text("".join(line_for(each, "0123456789abcdef") + "\n" for each in ("alice", name)))
        people.chmod(0o600)
        config.write_text(config.read_text() + '[break_glass]\nusers_file = "people"\n')
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr.startswith(f"break_glass.users: {name!r} is no active user of the directory")
        assert result.stderr.count("is no active user") == 1

    def test_an_empty_list_of_break_glass_users(self, config: Path) -> None:
        config.write_text(config.read_text() + '[break_glass]\nusers_file = "people"\n')
        path = config.parent / "people"
        path.touch(mode=0o600)
        for command in (["check", "--offline"], ["serve", "--check"]):
            result = run(*command, "--config", str(config))
            assert result.exit_code == 1
            made = f"run (umask 077; oidcgate secret --password NAME >> {path})"
            assert f"break_glass.users_file: '{path}' is empty; {made}\n" in result.stderr
        path.write_text("# nobody yet\n")
        told = run("check", "--offline", "--config", str(config)).stderr
        assert told == "break_glass.users: holds nobody; add a line with `oidcgate secret --password NAME`\n"

    def test_it_says_what_rules_ask_for(self, config: Path) -> None:
        config.write_text(
            config.read_text().replace("[provider]", '[provider]\nname = "Example"')
            + '[[rules]]\npath = "/admin/**"\nmethods = ["POST"]\nallow = "known"\nprovider = "Example"\n'
            + 'max_age_seconds = 300\nacr_values = ["high", "mfa"]\nprompt = ["login", "consent"]\n'
            + '[[rules]]\npath = "/public/**"\nallow = "anyone"\n'
        )
        told = run("check", "--offline", "--config", str(config)).stdout
        asked = "at Example, at most 300 s ago, by acr high or mfa, with prompt login consent"
        assert f"rule            POST /admin/**: known, signed in {asked}\n" in told
        assert "rule            all methods /public/**: anyone\n" in told

    def test_it_says_whether_tokens_are_kept(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        told = run("check", "--offline", "--config", str(config)).stdout
        assert "tokens          not kept, but for the ID token until the sign-out\n" in told
        assert "  e-mail        left out where the IdP says that it is not verified\n" in told
        for name in ("SESSION__KEEP_TOKENS", "FORWARD__ACCESS_TOKEN", "PROVIDER__INSECURE_UNVERIFIED_EMAIL"):
            monkeypatch.setenv(f"OIDCGATE_{name}", "true")
        told = run("check", "--offline", "--config", str(config)).stdout
        kept = "kept, renewed 60 s before they end, and the access token handed to the app"
        assert f"tokens          {kept}\n" in told
        assert "  e-mail        taken also where the IdP says that it is not verified\n" in told

    def test_a_state_store_without_a_folder(self, config: Path) -> None:
        config.write_text(config.read_text() + '[state]\nstore = "sqlite:///none/x.db"\n')
        result = run("check", "--offline", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr == (
            "state.store: 'sqlite:///none/x.db' cannot be opened: "
            f"there is no folder {config.parent}/none; "
            "make its folder and let the server's user write there, or name another\n"
        )

    def test_the_state_folder_of_a_service_is_looked_at(
        self, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", str(config.parent / "gone"))
        assert "there is no folder" in run("check", "--offline", "--config", str(config)).stderr
        (config.parent / "gone").mkdir()
        assert run("check", "--offline", "--config", str(config)).exit_code == 0
        # Looking makes nothing that another user would have to write.
        assert list((config.parent / "gone").iterdir()) == []

    @pytest.mark.parametrize(
        ("store", "library"),
        [
            ("postgresql+psycopg://u:canary@127.0.0.1:{port}/x", "psycopg"),
            ("redis://127.0.0.1:{port}/0", "redis"),
        ],
        ids=["postgresql", "redis"],
    )
    def test_stores_that_are_away_are_named_in_the_last_line(
        self, config: Path, idp: dict[str, Any], store: str, library: str
    ) -> None:
        pytest.importorskip(library)
        at = store.format(port=free_port())
        config.write_text(config.read_text() + f'[state]\nstore = "{at}"\n')
        if library == "psycopg":
            config.write_text(config.read_text().replace(":canary", "") + 'store_password = "canary"\n')
        text = config.read_text().replace(
            "[session]\n", f'[session]\nstore = "memcached://127.0.0.1:{free_port()}"\n'
        )
        config.write_text(text)
        result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith(
            "The file is right; not reached: the state store, the store of sessions.\n"
        )
        first, second = result.stderr.splitlines()
        assert first.startswith("the state store not asked: ")
        assert second.startswith("the store of sessions not asked: memcached at 127.0.0.1:")
        assert "canary" not in result.output
        offline = run("check", "--offline", "--config", str(config))
        assert offline.stdout.endswith("The file is right; IdP, directory and stores were not asked.\n")
        assert offline.stderr == ""

    def test_a_store_that_says_no_is_wrong(
        self, config: Path, idp: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object, **__: object) -> None:
            raise StoreUnavailable(StoreFailure.FAILED, "memcached at h1 failed (who are you?)")

        monkeypatch.setattr(MemcachedCache, "get", refused)
        monkeypatch.setenv("OIDCGATE_SESSION__STORE", "memcached://127.0.0.1:1")
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr == "session.store: memcached at h1 failed (who are you?)\n"
        assert "The configuration is right." not in result.stdout

    def test_an_address_where_no_such_idp_is(self, config: Path, idp: dict[str, Any]) -> None:
        idp |= {"error": "status 404", "answered": True}
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert "https://id.example: status 404; correct provider.issuer, or the IdP" in result.stderr
        assert "The configuration is right." not in result.stdout

    def test_a_driver_that_is_not_installed(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config.write_text(config.read_text() + '[state]\nstore = "postgresql+psycopg://u:pw@db/x"\n')
        monkeypatch.setattr("oidcgate.gate.stores.find_spec", lambda name: None)
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr == "state.store: needs psycopg; pip install 'oidcgate[sql]'\n"

    def test_a_client_of_memcached_that_is_not_installed(
        self, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OIDCGATE_SESSION__STORE", "memcached://h1:11211,h2")
        assert run("check", "--offline", "--config", str(config)).exit_code == 0
        monkeypatch.setattr("oidcgate.gate.stores.find_spec", lambda name: None)
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr == "session.store: needs pymemcache; pip install 'oidcgate[memcached]'\n"

    def test_offline_nobody_is_asked(self, config: Path, idp: dict[str, Any]) -> None:
        idp["error"] = "gone"
        assert run("check", "--offline", "--config", str(config)).stderr == ""

    @pytest.mark.row("F-10")
    def test_users_that_compare_equal(self, config: Path) -> None:
        (config.parent / "users.toml").write_text(
            '[[users]]\nuserName = "Alice"\n[[users]]\nuserName = "alice"\n'
        )
        result = run("check", "--offline", "--config", str(config))
        assert result.exit_code == 1
        assert "lice" in result.stderr

    @pytest.fixture
    def people(self, config: Path) -> Path:
        """The database of known users that the configuration names."""
        text = config.read_text()
        query = "SELECT login AS user_name FROM people"
        config.write_text(
            text.replace('"file:users.toml"', '"sql"')
            + f'[users.sql]\nurl = "sqlite:///people.db"\nquery = "{query}"\n'
        )
        path = config.parent / "people.db"
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE people (login)")
            db.execute("INSERT INTO people VALUES ('alice')")
        return path

    def test_a_directory_that_has_to_be_asked_is(
        self, config: Path, people: Path, idp: dict[str, Any]
    ) -> None:
        result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert "users           sql, matched by preferred_username" in result.stdout

    @pytest.mark.row("F-10")
    def test_users_of_a_database_that_compare_equal(
        self, config: Path, people: Path, idp: dict[str, Any]
    ) -> None:
        with closing(sqlite3.connect(people)) as db, db:
            db.execute("INSERT INTO people VALUES ('Alice'), ('bob')")
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        assert result.stderr == (
            "users.sql.query: 'alice' is the name of 2 users but for case; all are refused; "
            "give each user a name of their own\n"
        )

    def test_what_is_wrong_with_the_query_is_told_together_with_the_idp(
        self, config: Path, people: Path, idp: dict[str, Any]
    ) -> None:
        with closing(sqlite3.connect(people)) as db, db:
            db.execute("ALTER TABLE people RENAME COLUMN login TO name")
        idp["scopes_supported"] = ("openid",)
        result = run("check", "--config", str(config))
        assert result.exit_code == 1
        first, second = result.stderr.splitlines()
        assert first.startswith("https://id.example: does not offer profile email")
        assert second.startswith("users.source: 'sql' cannot be used: sqlite:///")
        assert "no such column: login; correct [users]" in second
        assert run("check", "--offline", "--config", str(config)).exit_code == 0

    def test_a_directory_that_is_away_is_only_reported(
        self, config: Path, people: Path, idp: dict[str, Any]
    ) -> None:
        config.write_text(config.read_text().replace("[users]\n", "[users]\ntimeout_seconds = 0.1\n"))
        with closing(sqlite3.connect(people, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            result = run("check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert result.stderr.startswith("known users not asked: sqlite:///")
        assert result.stdout.endswith("not reached: the directory of known users.\n")


class TestInit:
    """A start that `check` accepts, and nothing overwritten."""

    def test_what_it_writes_is_right_but_for_what_only_the_operator_knows(self, tmp_path: Path) -> None:
        folder = tmp_path / "new"
        result = run("init", str(folder), "--issuer", "https://id.example", "--client-id", 'a"b\\c')
        assert result.exit_code == 0, result.output
        assert (folder / "oidcgate.secret").stat().st_mode & 0o777 == 0o600
        KeyRing([(folder / "oidcgate.secret").read_text().strip()])
        (folder / "users.toml").write_text('[[users]]\nuserName = "Alice"\n')
        missing = run("check", "--offline", "--config", str(folder / "oidcgate.toml"))
        assert [line.split(":")[0] for line in missing.stderr.splitlines()] == ["provider.client_secret_file"]
        (folder / "client.secret").write_text("secret-of-the-idp")
        (folder / "client.secret").chmod(0o600)
        result = run("check", "--offline", "--config", str(folder / "oidcgate.toml"))
        assert result.exit_code == 0, result.output
        assert 'a"b\\c' in result.stdout

    def test_the_sidecar_is_a_matter_of_taking_marks_away(self, tmp_path: Path) -> None:
        said = run("init", str(tmp_path)).stdout
        config = tmp_path / "oidcgate.toml"
        assert f"name it in [proxy], then  oidcgate serve --config {config}" in said
        (tmp_path / "client.secret").write_text("secret-of-the-idp")
        (tmp_path / "client.secret").chmod(0o600)
        (tmp_path / "users.toml").write_text('[[users]]\nuserName = "Alice"\n')
        before, _, sidecar = config.read_text().partition("# For the sidecar")
        lines = [line.removeprefix("# ") for line in sidecar.splitlines()[1:]]
        config.write_text(before + "\n".join(lines))
        result = run("serve", "--check", "--config", str(config))
        assert result.exit_code == 0, result.output
        assert "http://127.0.0.1:8081" in result.stdout
        assert "metrics                                 http://127.0.0.1:9090/metrics" in result.stdout

    @pytest.mark.parametrize(
        ("given", "left"),
        [
            ([], "  set public_url, issuer and client_id in "),
            (["--client-id", "app"], "  set public_url and issuer in "),
            (["--client-id", "app", "--issuer", "https://id.example"], "  set public_url in "),
        ],
        ids=["all", "two", "one"],
    )
    def test_what_was_not_given_is_left_to_set(self, tmp_path: Path, given: list[str], left: str) -> None:
        assert f"{left}{tmp_path}/oidcgate.toml\n" in run("init", str(tmp_path), *given).stdout

    def test_what_was_given_need_not_be_set(self, tmp_path: Path) -> None:
        given = ("--client-id", "app", "--issuer", "https://id.example", "--public-url", "https://a.example")
        assert "  set " not in run("init", str(tmp_path), *given).stdout

    def test_two_that_exist(self, tmp_path: Path) -> None:
        run("init", str(tmp_path))
        again = run("init", str(tmp_path))
        assert "oidcgate.secret exist already; nothing was written" in again.stderr

    @pytest.mark.parametrize("name", ["oidcgate.toml", "oidcgate.secret"])
    def test_it_overwrites_nothing(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("mine")
        result = run("init", str(tmp_path))
        assert result.exit_code == 1
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == "mine"

    def test_a_link_that_waits_is_not_followed(self, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere"
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "oidcgate.secret").symlink_to(target)
        assert run("init", str(tmp_path / "in")).exit_code == 1
        assert not target.exists()

    def test_a_value_that_cannot_be_written(self, tmp_path: Path) -> None:
        assert run("init", str(tmp_path), "--issuer", "https://id\n.example").exit_code == 2
        assert list(tmp_path.iterdir()) == []


def test_each_secret_is_new_and_strong() -> None:
    first, second = (run("secret").stdout.strip() for _ in range(2))
    assert first != second
    KeyRing([first, second])


def test_version() -> None:
    assert ", version 0." in run("--version").stdout


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "oidcgate", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("Usage: oidcgate")
    assert all(name in done.stdout for name in ("check", "init", "secret"))
