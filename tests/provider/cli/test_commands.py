"""`oidcgate-provider`: what each command does, prints and refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from provider.app import Provider
from provider.cli.main import main
from provider.store import totp
from provider.store.engine import Store
from provider.store.grants import AccessTokenRow, GrantRow, find_grant, insert_access_token, insert_grant
from provider.store.totp import Totp
from provider.store.users import list_users
from tests.provider.cli.shell import TOML, Shell, columns
from tests.provider.world import ISSUER


@pytest.mark.row("S-47")
def test_client_add_shows_the_secret_once(shell: Shell) -> None:
    result = shell.run("client", "add", "--redirect-uri", "https://x.example/cb", "--name", "X")
    first, second = result.stdout.splitlines()
    client_id, secret = first.removeprefix("client_id: "), second.removeprefix("client_secret: ")
    assert 43 <= len(secret) <= 100
    shown = shell.run("client", "show", client_id)
    assert "name: X" in shown.stdout
    assert secret not in shown.output + shell.run("client", "list").output
    assert '"provider.client_changed"' in result.stderr


@pytest.mark.row("E-28")
def test_client_add_cannot_ask_for_a_factor_that_the_realm_does_not_have(shell: Shell) -> None:
    options = ["--redirect-uri", "https://x.example/cb", "--second-factor", "required"]
    result = shell.run("client", "add", *options, code=1)
    assert "second_factor: 'required' asks for what the realm does not have" in result.stderr


@pytest.mark.row("S-53", "S-54")
def test_client_add_names_every_problem(shell: Shell) -> None:
    result = shell.run("client", "add", "--id", "a b", "--redirect-uri", "http://x.example/cb", code=1)
    assert "2 problem(s)" in result.stderr
    assert "client_id: 'a b'" in result.stderr
    assert "redirect_uris[0]: 'http://x.example/cb'" in result.stderr
    assert columns(shell.run("client", "list")) == [["app", "enabled", "file", "app"]]


@pytest.mark.row("S-45")
def test_client_disable_and_enable(shell: Shell) -> None:
    shell.run("client", "add", "--id", "x", "--redirect-uri", "https://x.example/cb")
    shell.run("client", "disable", "x")
    assert columns(shell.run("client", "list"))[1][:2] == ["x", "disabled"]
    shell.run("client", "enable", "x")
    assert columns(shell.run("client", "list"))[1][:2] == ["x", "enabled"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["client", "disable", "app"], "is written in the configuration"),
        (["client", "disable", "nobody"], "there is no client nobody"),
        (["client", "show", "nobody"], "there is no client nobody"),
        (["user", "disable", "alice"], "is written in the configuration"),
        (["user", "disable", "nobody"], "there is no user 'nobody'"),
        (["client", "list", "--realm", "nowhere"], "there is no realm 'nowhere'; use one of default"),
        (
            ["user", "add", "bob", "--no-password", "--attribute", "shoe=1"],
            "'shoe' is no attribute; use one of",
        ),
        (["user", "add", "bob", "--no-password", "--attribute", "updated_at=soon"], "is not JSON"),
        (["user", "add", "bob", "--no-password", "--attribute", "updated_at=-1"], "updated_at"),
        (["user", "add", "ALICE", "--no-password"], "is taken"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, arguments: list[str], message: str) -> None:
    assert message in shell.run(*arguments, code=1).stderr


def test_a_person_from_standard_input(shell: Shell) -> None:
    attributes = ["email=bob@x.example", "email_verified=true", "groups=a,b", 'address={"country": "FR"}']
    options = [option for pair in attributes for option in ("--attribute", pair)]
    result = shell.run("user", "add", "Bob", "--password-stdin", *options, stdin="correct horse\n")
    assert "correct horse" not in result.output
    assert columns(shell.run("user", "list"))[1][:3] == ["Bob", "active", "database"]
    provider = Provider.from_config(
        shell.config, env={"OIDCPROVIDER_DATABASE": f"sqlite:///{shell.folder}/provider.db"}
    )
    parts = provider.parts
    with parts.store.read() as conn:
        bob = parts.users.find_by_name(conn, parts.realms[0], "bob")
    parts.store.dispose()
    assert bob is not None
    assert PasswordHasher().verify(bob.password_hash or "", "correct horse")
    assert bob.attributes == {
        "email": "bob@x.example",
        "email_verified": True,
        "groups": ["a", "b"],
        "address": {"country": "FR"},
    }


@pytest.mark.row("S-22")
def test_a_person_with_declared_attributes(shell: Shell) -> None:
    shell.config.write_text(
        TOML + '[[properties]]\nname = "badge"\nattribute = "aux_id_1"\ntype = "integer"\n'
        '[[properties]]\nname = "rooms"\nmulti_valued = true\nmax_length = 3\n'
    )
    shell.run("user", "add", "Bob", "--no-password", "--attribute", "aux_id_1=7", "--attribute", "rooms=A,B")
    for attribute, message in {
        "aux_id_1=x": "aux_id_1: 'x' is not JSON",
        "aux_id_1=true": "aux_id_1: is no integer",
        "rooms=A,Basement": "rooms: is longer than 3 bytes",
        "badge=7": "is no attribute",
        "consents=x": "consents: is not given as an attribute",
    }.items():
        assert (
            message
            in shell.run("user", "add", "Eve", "--no-password", "--attribute", attribute, code=1).stderr
        )
    store = Store(f"sqlite:///{shell.folder}/provider.db")
    with store.read() as conn:
        (bob,) = list_users(conn, "default")
    store.dispose()
    assert (bob.user_name, bob.attributes) == ("Bob", {"aux_id_1": 7, "rooms": ["A", "B"]})


def test_a_password_from_a_prompt_is_asked_for_twice(shell: Shell) -> None:
    shell.run("user", "add", "bob", "--no-password")
    result = shell.run("user", "password", "bob", stdin="pass phrase\npass phrase\n")
    assert result.output.count("assword") >= 2
    assert "bob has a new password" in result.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("\n", "at least 8 characters", id="none"),
        pytest.param("seven77\n", "at least 8 characters", id="short"),
        pytest.param("\u00e9" * 513 + "\n", "at most 1024 bytes", id="long"),
        pytest.param("Password1\n", "first that are guessed", id="guessed"),
        pytest.param("BOBBYBOB\n", "first that are guessed", id="the-name"),
    ],
)
def test_passwords_that_are_none(shell: Shell, given: str, said: str) -> None:
    result = shell.run("user", "add", "bobbybob", "--password-stdin", stdin=given, code=1)
    assert said in result.stderr
    assert len(columns(shell.run("user", "list"))) == 1


def test_no_option_takes_a_password() -> None:
    for name in ("add", "password"):
        options = CliRunner().invoke(main, ["user", name, "--help"]).output
        assert "--password-stdin" in options
        assert "--password " not in options


def test_user_disable_and_enable(shell: Shell) -> None:
    shell.run("user", "add", "bob", "--no-password")
    shell.run("user", "disable", "BOB")
    assert columns(shell.run("user", "list"))[1][1] == "disabled"
    shell.run("user", "enable", "bob")
    assert columns(shell.run("user", "list"))[1][1] == "active"


@pytest.mark.row("E-28")
@pytest.mark.parametrize("name", ["Bob", "alice"])
def test_user_remove_totp(shell: Shell, name: str) -> None:
    """Of people in the database and of those in the file."""
    shell.run("user", "add", "bob", "--no-password")
    user_id = next(row[3] for row in columns(shell.run("user", "list")) if row[0] == name.lower())
    assert "has no authenticator" in shell.run("user", "remove-totp", name, code=1).stderr
    store = Store(f"sqlite:///{shell.folder / 'provider.db'}")
    with store.begin() as conn:
        assert totp.add(conn, "default", Totp(user_id, "sealed", 1, 1))
    store.dispose()
    result = shell.run("user", "remove-totp", name)
    assert result.stdout == f"{name} has no authenticator any more\n"
    (event,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert (event["event"], event["user_id"]) == ("provider.factor_removed", user_id)
    assert "has no authenticator" in shell.run("user", "remove-totp", name, code=1).stderr
    assert "there is no user" in shell.run("user", "remove-totp", "nobody", code=1).stderr


@pytest.mark.row("E-28")
def test_the_authenticator_of_somebody_in_a_store_of_ones_own_is_removed(shell: Shell) -> None:
    shell.run("user", "list")
    store = Store(f"sqlite:///{shell.folder / 'provider.db'}")
    with store.begin() as conn:
        assert totp.add(conn, "default", Totp("sub-elsewhere", "sealed", 1, 1))
    store.dispose()
    result = shell.run("user", "remove-totp", "--sub", "sub-elsewhere")
    assert result.stdout == "sub-elsewhere has no authenticator any more\n"
    assert '"by":"operator"' in result.stderr
    assert "has no authenticator" in shell.run("user", "remove-totp", "--sub", "sub-elsewhere", code=1).stderr


def test_a_hash_for_the_file(shell: Shell) -> None:
    result = shell.run("user", "password", "--print-hash", "--password-stdin", stdin="pass phrase\n")
    shell.config.write_text(TOML + f'password_hash = "{result.stdout.strip()}"\n')
    assert "right" in shell.run("check").stdout


def test_user_password_needs_a_name(shell: Shell) -> None:
    assert "name the person" in shell.run("user", "password", code=2).stderr


def test_keys_rotate(shell: Shell) -> None:
    (first,) = columns(shell.run("keys", "list"))
    assert first[1:3] == ["RS256", "current"]
    assert "signs in 24 hours" in shell.run("keys", "rotate").stdout
    assert "is published and signs from" in shell.run("keys", "rotate", code=1).stderr
    assert "signs from now on" in shell.run("keys", "rotate", "--now").stdout
    assert sorted(row[2] for row in columns(shell.run("keys", "list"))) == ["current", "retired"]


def test_check_says_what_it_found(shell: Shell) -> None:
    lines = shell.run("check").stdout.splitlines()
    assert lines[0].startswith(f"{ISSUER}: 1 client(s) and 1 person(s)")
    assert lines[1:] == ["database: up to date", "The configuration is right."]


@pytest.mark.row("S-54")
def test_check_lists_every_problem(shell: Shell) -> None:
    shell.config.write_text(
        TOML.replace("user_name", "user_nmae").replace("client_secret", "enabled = 1\nclient_secret")
    )
    result = shell.run("check", code=1)
    assert "2 problem(s)" in result.stderr
    for key in ("clients[0].enabled", "users[0].user_nmae"):
        assert f"\n{key}: " in result.stderr


def test_check_makes_nothing(shell: Shell) -> None:
    (shell.folder / "provider.db").unlink()
    assert "not there yet" in shell.run("check").stdout
    assert not (shell.folder / "provider.db").exists()


@pytest.mark.parametrize("command", [["check"], ["user", "list"], ["serve"]], ids="-".join)
def test_a_database_without_a_folder(shell: Shell, command: list[str]) -> None:
    folder = shell.folder = shell.folder / "data"
    said = f"\ndatabase: '{folder}' is a folder that is not there; make it, or name a file in another one"
    assert said in shell.run(*command, code=1).stderr
    assert not folder.exists()


def test_check_compares_with_the_database(shell: Shell) -> None:
    shell.run("user", "add", "bob", "--no-password")
    shell.config.write_text(TOML + '[[users]]\nuser_name = "BOB"\n')
    assert "\nusers: 'bob' is also in the database" in shell.run("check", code=1).stderr
    realm = f'{TOML}[[realms]]\nname = "x"\n'
    shell.config.write_text(realm)
    shell.run("user", "add", "bob", "--no-password", "--realm", "x")
    shell.config.write_text(f'{realm}[[realms.users]]\nuser_name = "bob"\n')
    assert "\nrealms[0].users: 'bob' is also in the database" in shell.run("check", code=1).stderr


def test_a_database_that_cannot_be_used(shell: Shell) -> None:
    (shell.folder / "provider.db").unlink()
    (shell.folder / "provider.db").mkdir()
    assert "the database cannot be used" in shell.run("user", "list", code=1).stderr


def test_init_writes_what_check_accepts(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.run("init")
    assert "right" in shell.run("check").stdout
    secret = tmp_path / "provider.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text().strip() not in shell.config.read_text()


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.run("init", "--issuer", "https://id.example")
    before = shell.config.read_text(), (tmp_path / "provider.secret").read_text()
    assert "insecure" not in before[0]
    assert "exists already" in shell.run("init", code=1).stderr
    assert before == (shell.config.read_text(), (tmp_path / "provider.secret").read_text())


def test_init_leaves_nothing_behind_a_wrong_issuer(tmp_path: Path) -> None:
    result = Shell(tmp_path).run("init", "--issuer", "http://id.example", code=1)
    assert "issuer" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "check", "init", "client", "user", "keys"])
def test_every_command_has_help(command: str) -> None:
    assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_a_client_that_has_no_way_back_after_sign_out_is_told(shell: Shell) -> None:
    back = ["--post-logout-redirect-uri", "https://x.example/bye"]
    with_it = shell.run("client", "add", "--redirect-uri", "https://x.example/cb", *back)
    without = shell.run("client", "add", "--redirect-uri", "https://x.example/cb")
    assert "No --post-logout-redirect-uri" in without.stderr
    assert "No --post-logout-redirect-uri" not in with_it.stderr


@pytest.mark.parametrize(
    ("missing", "arguments", "told"),
    [
        pytest.param("argon2", ["check"], "pip install 'oidcgate[serve,provider]'", id="provider"),
        pytest.param("gunicorn", ["serve"], "pip install 'oidcgate[serve]'", id="serve"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(
    tmp_path: Path, missing: str, arguments: list[str], told: str
) -> None:
    # None in sys.modules is what an import of something that is not there comes to.
    code = f"import sys; sys.modules[{missing!r}] = None; import runpy; sys.argv[1:] = {arguments!r}; "
    code += "runpy.run_module('provider', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_import_names_the_extra() -> None:
    code = "import sys; sys.modules['argon2'] = None; from provider import Provider"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "ImportError: Provider needs argon2: pip install 'oidcgate[provider]'" in done.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "provider.toml" in Shell(tmp_path).run("check", code=1).stderr


@pytest.mark.row("S-39")
def test_consents_are_measured(shell: Shell) -> None:
    said = dict(line.split(": ") for line in shell.run("consents", "measure").stdout.splitlines())
    assert int(said["first"].removesuffix(" bytes")) <= 277
    assert float(said["each further"].split()[0]) <= 60
    assert int(said["32768 bytes hold"].split()[0]) >= 542
    assert "up to 50 consents" in shell.run("consents", "measure", "--count", "50").stdout


@pytest.mark.row("S-40", "C-7")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--bytes", "32768"], "542", id="what-SecureAuth-says"),
        pytest.param([], "542", id="by-default"),
        pytest.param(["--bytes", "276"], "0", id="none"),
        pytest.param(["--bytes", "100", "--first", "30", "--step", "35"], "3", id="other-figures"),
    ],
)
def test_capacity_of_an_attribute(shell: Shell, options: list[str], expected: str) -> None:
    assert shell.run("consents", "capacity", *options).stdout == f"{expected}\n"


@pytest.mark.parametrize("options", [["--bytes", "-1"], ["--step", "0"], ["--first", "0"], ["--bytes", "x"]])
def test_capacity_of_no_attribute(shell: Shell, options: list[str]) -> None:
    shell.run("consents", "capacity", *options, code=2)


@pytest.mark.row("C-13", "A-14", "S-40")
def test_consents_of_a_person_are_listed_and_withdrawn(shell: Shell) -> None:
    shell.config.write_text(TOML + '[[properties]]\nname = "consents"\nwritable = true\nmax_length = 32768\n')
    assert shell.run("consents", "list", "Alice").stdout == "uses 0 of 32768 bytes\n"
    parts = Provider.from_config(
        shell.config, env={"OIDCPROVIDER_DATABASE": f"sqlite:///{shell.folder}/provider.db"}
    ).parts
    (realm,) = parts.realms
    with parts.store.begin() as conn:
        alice = parts.users.known(conn, realm, "alice").user_id
        for client_id, scopes in (("app", {"openid", "email"}), ("desk", {"openid"})):
            agreed = frozenset(scopes)
            parts.consents.remember(conn, realm, alice, client_id, agreed, agreed, 1_800_000_000)
        for number, user_id in enumerate((alice, "somebody")):
            row = GrantRow(f"g-{number}", "app", user_id, "sid", (), 0, "", (), 0, 2**40)
            insert_grant(conn, "default", row)
    lines = columns(shell.run("consents", "list", "ALICE"))
    assert lines[:2] == [
        ["app", "email openid", "2027-01-15 08:00:00Z"],
        ["desk", "openid", "2027-01-15 08:00:00Z"],
    ]
    assert re.fullmatch(r"uses [1-9]\d+ of 32768 bytes", lines[2][0])
    result = shell.run("consents", "withdraw", "alice", "app")
    assert result.stdout == "app has to ask alice again; grants that ended: 1\n"
    assert '"provider.consent_withdrawn"' in result.stderr
    assert columns(shell.run("consents", "list", "--sub", alice))[0][0] == "desk"
    with parts.store.read() as conn:
        ended = [find_grant(conn, "default", name) for name in ("g-0", "g-1")]
    parts.store.dispose()
    assert [row.revoke_reason for row in ended if row] == ["consent_withdrawn", None]
    again = shell.run("consents", "withdraw", "alice", "app", code=1)
    assert "alice has allowed nothing to app" in again.stderr
    assert "there is no user 'eve'" in shell.run("consents", "withdraw", "eve", "app", code=1).stderr
    assert "there is no user 'eve'" in shell.run("consents", "list", "eve", code=1).stderr
    assert "there is no realm" in shell.run("consents", "list", "alice", "--realm", "x", code=1).stderr
    shell.config.write_text(TOML)
    assert shell.run("consents", "list", "alice").stdout.endswith(" bytes, without a limit\n")


@pytest.mark.row("E-26", "A-28")
def test_applications_of_a_person_are_listed_and_everything_is_withdrawn(shell: Shell) -> None:
    assert shell.run("user", "applications", "Alice").stdout == ""
    parts = Provider.from_config(
        shell.config, env={"OIDCPROVIDER_DATABASE": f"sqlite:///{shell.folder}/provider.db"}
    ).parts
    (realm,) = parts.realms
    at, end = 1_800_000_000, 2**40
    with parts.store.begin() as conn:
        alice = parts.users.known(conn, realm, "alice").user_id
        agreed = frozenset({"openid", "email"})
        parts.consents.remember(conn, realm, alice, "gone", agreed, agreed, at)
        insert_grant(conn, "default", GrantRow("g-1", "app", alice, "sid", ("openid",), 0, "", (), at, end))
        insert_access_token(
            conn, "default", AccessTokenRow("t-1", "g-1", "app", ("openid",), None, at + 60, end)
        )
    parts.store.dispose()
    expected = [
        ["app", "app", "openid", "2027-01-15 08:00:00Z", "1", "2027-01-15 08:01:00Z"],
        ["gone", "gone", "email openid", "2027-01-15 08:00:00Z", "0", "-"],
    ]
    assert columns(shell.run("user", "applications", "ALICE")) == expected
    assert columns(shell.run("user", "applications", "--sub", alice)) == expected
    assert "there is no user 'eve'" in shell.run("user", "applications", "eve", code=1).stderr
    for wrong in (("alice",), ("alice", "app", "--all")):
        assert (
            "name the application, or ask for --all"
            in shell.run("consents", "withdraw", *wrong, code=2).stderr
        )
    result = shell.run("consents", "withdraw", "alice", "--all")
    assert sorted(result.stdout.splitlines()) == [
        "app has to ask alice again; grants that ended: 1",
        "gone has to ask alice again; grants that ended: 0",
    ]
    assert result.stderr.count('"by":"operator"') == 2
    assert shell.run("user", "applications", "alice").stdout == ""
    again = shell.run("consents", "withdraw", "alice", "--all", code=1)
    assert "alice has allowed nothing to any application" in again.stderr


@pytest.mark.row("A-28")
def test_how_long_a_password_has_to_be_is_the_realms(shell: Shell) -> None:
    with shell.config.open("a") as config:
        config.write('[[realms]]\nname = "b2b"\n[realms.account]\npassword_characters = 12\n')
    given = {"stdin": "eleven char\n"}
    result = shell.run("user", "add", "bob", "--realm", "b2b", "--password-stdin", code=1, **given)
    assert "at least 12 characters" in result.stderr
    shell.run("user", "add", "bob", "--password-stdin", **given)


@pytest.mark.row("S-27")
def test_realm_list(shell: Shell) -> None:
    with shell.config.open("a") as config:
        config.write(
            '[[realms]]\nname = "b2b"\nsigning_algorithm = "ES256"\n[[realms.users]]\nuser_name = "bo"\n'
        )
    shell.run("user", "add", "carol", "--no-password")
    shell.run("client", "add", "--realm", "b2b", "--redirect-uri", "https://x.example/cb")
    assert columns(shell.run("realm", "list")) == [
        ["default", ISSUER, "1 client(s)", "2 person(s)", "RS256"],
        ["b2b", f"{ISSUER}/r/b2b", "1 client(s)", "1 person(s)", "ES256 RS256"],
    ]
