"""Settings: what a valid configuration becomes, and that everything wrong is said at once."""

import dataclasses
import errno
import os
import pickle
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.settings import (
    FileText,
    Problem,
    Secret,
    SettingDoc,
    SettingsError,
    cross_check,
    describe,
    load,
    parse,
    setting,
)
from oidcgate.settings.toml_file import read_toml


def starts_with_slash(value: str) -> str | None:
    return None if value.startswith("/") else "does not start with /; write /path"


@dataclasses.dataclass(frozen=True)
class Rule:
    path: str = setting(help="Which paths.", check=starts_with_slash)
    allow: str = setting(default="known", choices=("anyone", "signed-in", "known"), help="Who may pass.")
    token: Secret | None = setting(default=None, help="A secret in an array.")


@dataclasses.dataclass(frozen=True)
class Session:
    secret: Secret = setting(
        help="Seals cookies.", check=lambda s: None if len(s.reveal()) > 3 else "is too short"
    )
    same_site: str = setting(default="lax", choices=("lax", "strict"), help="SameSite.")
    idle_minutes: float = setting(default=480.0, minimum=1, maximum=1000, help="Idle end.")
    absolute_minutes: float = setting(default=720.0, minimum=1, help="Absolute end.")

    @cross_check
    def _ends_in_order(self) -> Iterable[Problem]:
        if self.absolute_minutes < self.idle_minutes:
            yield Problem("absolute_minutes", self.absolute_minutes, "is less than idle_minutes", "raise it")


@dataclasses.dataclass(frozen=True)
class Config:
    public_url: str = setting(help="The address.")
    workers: int = setting(default=2, minimum=1, maximum=64, help="Processes.")
    debug: bool = setting(default=False, help="Shows more.")
    scopes: tuple[str, ...] = setting(default=("openid", "profile"), help="Scopes.")
    folder: Path | None = setting(default=None, help="A folder.")
    extra: Mapping[str, Any] = setting(factory=dict, help="Anything.")
    session: Session = setting(help="Sessions.")
    backup: Session | None = setting(default=None, help="Another.")
    rules: tuple[Rule, ...] = setting(default=(), help="Rules.")


GOOD: Mapping[str, Any] = {"public_url": "https://app.example", "session": {"secret": "sealed"}}


def parsed(data: Mapping[str, Any] = GOOD, **env: str) -> Config:
    return parse(Config, data, env=env, env_prefix="APP_")


def said(data: Mapping[str, Any] = GOOD, **env: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parsed(data, **env)
    assert str(refused.value).split("\n") == [str(problem) for problem in refused.value.problems]
    return [str(problem) for problem in refused.value.problems]


def test_defaults_hold_for_what_is_left_out() -> None:
    config = parsed()
    assert (config.workers, config.scopes, config.folder, config.backup) == (
        2,
        ("openid", "profile"),
        None,
        None,
    )
    assert (config.session.idle_minutes, config.session.secret.reveal()) == (480.0, "sealed")


def test_every_kind_of_value() -> None:
    data = {
        **GOOD,
        "workers": 7,
        "debug": True,
        "scopes": ["a", "b"],
        "folder": "/var/lib",
        "extra": {"any": {"thing": [1, 2]}},
        "backup": {"secret": "other", "idle_minutes": 5},
        "rules": [{"path": "/a"}, {"path": "/b", "allow": "anyone"}],
    }
    config = parsed(data)
    assert (config.workers, config.debug, config.scopes, config.folder) == (
        7,
        True,
        ("a", "b"),
        Path("/var/lib"),
    )
    assert config.extra == {"any": {"thing": [1, 2]}}
    assert config.backup is not None
    assert (config.backup.idle_minutes, type(config.backup.idle_minutes)) == (5.0, float)
    assert config.rules == (Rule(path="/a"), Rule(path="/b", allow="anyone"))


def test_a_table_of_anything_is_a_copy_and_read_only() -> None:
    inner = {"any": [1]}
    config = parsed({**GOOD, "extra": inner})
    inner["any"].append(2)
    assert config.extra == {"any": [1]}
    with pytest.raises(TypeError):
        config.extra["x"] = 1


def test_python_values_are_taken_too() -> None:
    data = {
        "public_url": "x",
        "scopes": ("a",),
        "folder": Path("/x"),
        "session": {"secret": Secret("sealed")},
        "backup": None,
    }
    config = parsed(data)
    assert (config.scopes, config.folder, config.backup) == (("a",), Path("/x"), None)
    assert config.session.secret == Secret("sealed")


def test_rules_over_several_fields_are_asked_beside_wrong_fields() -> None:
    data = {
        "public_url": "https://app",
        "workers": 0,
        "session": {"same_site": "stric", "idle_minutes": 20, "absolute_minutes": 10, "secret": "sealed"},
    }
    assert said(data) == [
        "workers: 0 is less than 1; use 1 or more",
        "session.same_site: 'stric' is not one of 'lax', 'strict'; did you mean 'strict'?",
        "session.absolute_minutes: 10.0 is less than idle_minutes; raise it",
    ]


def test_a_rule_that_needs_a_wrong_field_says_nothing_of_its_own() -> None:
    data = {
        "public_url": "https://app",
        "session": {"idle_minutes": "long", "absolute_minutes": 10, "secret": "sealed"},
    }
    assert said(data) == [
        "session.idle_minutes: 'long' is not a finite number; write a number without quotes, such as 0.5"
    ]


def test_all_problems_are_said_at_once() -> None:
    data = {
        "public_ulr": "canary",
        "workers": 0,
        "session": {"same_site": "stric", "idle_minutes": 2000, "secret": "abc"},
        "rules": [{"path": "a"}, {"allow": "anybody"}, 7],
        "scopes": ["a", 1],
    }
    assert said(data, APP_DEBUG="maybe", APP_SESION__SECRET="canary") == [
        "workers: 0 is less than 1; use 1 or more",
        "debug: 'maybe' (from APP_DEBUG) is not a boolean; write true or false",
        "scopes[1]: 1 is not a string; write it in quotes",
        "session.secret: is too short; Seals cookies.",
        "session.same_site: 'stric' is not one of 'lax', 'strict'; did you mean 'strict'?",
        "session.idle_minutes: 2000.0 is more than 1000; use 1000 or less",
        "rules[0].path: 'a' does not start with /; write /path",
        "rules[1].path: is missing; set rules[1].path",
        "rules[1].allow: 'anybody' is not one of 'anyone', 'signed-in', 'known'; did you mean 'anyone'?",
        "rules[2]: 7 is not a table; write it as [[rules]]",
        "public_ulr: is not a setting; did you mean 'public_url'?",
        "APP_SESION__SECRET: is a variable that sets nothing; did you mean APP_SESSION__SECRET?",
    ]


def test_what_is_missing_is_told_with_each_way_to_set_it() -> None:
    assert said({"session": {"secret": "sealed"}}) == [
        "public_url: is missing; set public_url or APP_PUBLIC_URL"
    ]


def test_a_misspelt_setting_is_told_once_and_what_is_missing_beside_it_too() -> None:
    data = {**GOOD, "rules": [{"pth": "/a"}, {"alow": "known"}], "session": {"secret_fil": "x"}}
    assert said(data) == [
        "session.secret_fil: is not a setting; did you mean 'secret_file'?",
        "rules[0].pth: is not a setting; did you mean 'path'?",
        "rules[1].path: is missing; set rules[1].path",
        "rules[1].alow: is not a setting; did you mean 'allow'?",
    ]


def test_a_misspelt_table_is_told_once() -> None:
    assert said({"public_url": "https://app", "sesion": {"secret": "sealed"}}) == [
        "sesion: is not a setting; did you mean 'session'?"
    ]


@pytest.mark.parametrize("env", [{}, {"APP_WORKERS": "0"}], ids=["file", "variable"])
def test_beside_a_misspelt_setting_a_wrong_one_is_told_all_the_same(env: dict[str, str]) -> None:
    data = {**GOOD, "worker": 2, "scopes": ["a", 1], "scope": "a"} | ({} if env else {"workers": 0})
    assert said(data, **env) == [
        "workers: 0 is less than 1; use 1 or more",
        "scopes[1]: 1 is not a string; write it in quotes",
        "worker: is not a setting; did you mean 'workers'?",
        "scope: is not a setting; did you mean 'scopes'?",
    ]


def test_rules_over_several_settings_name_the_whole_key() -> None:
    data = {**GOOD, "session": {"secret": "sealed", "absolute_minutes": 10}}
    assert said(data) == ["session.absolute_minutes: 10.0 is less than idle_minutes; raise it"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        pytest.param("workers", True, "true is not an integer", id="bool for int"),
        pytest.param("workers", 2.0, "2.0 is not an integer", id="float for int"),
        pytest.param("workers", "2", "'2' is not an integer", id="string for int"),
        pytest.param("workers", 10**5000, "a very large integer is more than 64", id="huge int"),
        pytest.param("debug", 1, "1 is not a boolean", id="int for bool"),
        pytest.param("debug", "true", "'true' is not a boolean", id="string for bool"),
        pytest.param("public_url", 1, "1 is not a string", id="int for string"),
        pytest.param("public_url", True, "true is not a string", id="bool for string"),
        pytest.param("public_url", "", "is empty", id="required and empty"),
        pytest.param("public_url", "a\udc80", "'a\\udc80' is not valid UTF-8", id="surrogate"),
        pytest.param("public_url", ["canary"], "a list is not a string", id="list for string"),
        pytest.param("public_url", {"a": "canary"}, "a table is not a string", id="table for string"),
        pytest.param("folder", "", "'' is not a path", id="empty path"),
        pytest.param("folder", "a\0b", "'a\\x00b' is not a path", id="path with NUL"),
        pytest.param("folder", 7, "7 is not a path", id="int for path"),
        pytest.param("scopes", "openid", "'openid' is not a list", id="string for list"),
        pytest.param("extra", [1], "a list is not a table", id="list for table"),
        pytest.param("extra", {1: 2}, "holds a key that is not a string", id="key no string"),
        pytest.param(
            "session", "canary", "'canary' is not a table; write it as [session]", id="string for table"
        ),
        pytest.param(
            "rules", {"path": "/"}, "a table is not a list; write it as [[rules]]", id="table for array"
        ),
    ],
)
def test_a_wrong_value(key: str, value: object, message: str) -> None:
    (problem,) = said({**GOOD, key: value})
    assert f"{key}: {message}" in problem
    assert "canary" not in problem or value == "canary"


@pytest.mark.parametrize(
    "value",
    [True, "1", float("nan"), float("inf"), 10**400, [1]],
    ids=["bool", "string", "nan", "inf", "huge", "list"],
)
def test_a_number_is_finite(value: object) -> None:
    (problem,) = said({**GOOD, "session": {"secret": "sealed", "idle_minutes": value}})
    assert "is not a finite number; write a number without quotes" in problem


def test_a_number_in_quotes_is_told_without_them() -> None:
    (problem,) = said({**GOOD, "session": {"secret": "sealed", "idle_minutes": "480"}})
    assert problem.endswith("write a number without quotes, such as 480")


def test_a_long_or_many_lined_value_is_shown_short_and_on_one_line() -> None:
    (problem,) = said({**GOOD, "session": {"secret": "sealed", "same_site": "a\nb" * 500}})
    assert len(problem) < 250
    assert "\n" not in problem


def test_a_key_of_another_table_is_told_where_it_belongs() -> None:
    assert said({**GOOD, "session": {"secret": "sealed", "public_url": "x"}, "idle_minutes": 3}) == [
        "session.public_url: is not a setting; it belongs before the first [table]",
        "idle_minutes: is not a setting; it belongs to [session]",
    ]
    assert said({**GOOD, "zzz": 1}) == ["zzz: is not a setting; remove it"]


def test_secrets_do_not_show() -> None:
    secret = Secret("canary")
    assert "canary" not in f"{secret!r} {secret} {secret:>10} {[secret]} {parsed()}"
    assert secret.reveal() == "canary"
    assert (secret == Secret("canary"), secret == Secret("other"), secret == "canary") == (True, False, False)
    assert hash(secret) == hash(Secret("canary"))
    assert (bool(secret), bool(Secret(""))) == (True, False)
    assert Secret("ü€") == Secret("ü€")


@pytest.mark.parametrize("value", [7, ["canary"], {"canary": 1}, "abc", "", "canary\udc80"], ids=str)
def test_a_wrong_secret_is_not_shown(value: object) -> None:
    (problem,) = said({**GOOD, "session": {"secret": value}})
    assert problem.startswith("session.secret: is ")
    assert "canary" not in problem
    assert "abc" not in problem
    assert "7" not in problem


def test_the_password_in_an_address_is_not_shown() -> None:
    (problem,) = said({**GOOD, "session": {"secret": "sealed", "same_site": "redis://u:canary@/x@host/0"}})
    assert "'redis://***@host/0'" in problem
    assert "canary" not in problem


class TestSecretFiles:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "secret"
        file.write_text("  from a file\nsecond line\n")
        file.chmod(0o600)
        return file

    def parsed(self, folder: Path, session: Mapping[str, Any], **env: str) -> Config:
        return parse(Config, {**GOOD, "session": session}, env=env, env_prefix="APP_", base_dir=folder)

    def said(self, folder: Path, session: Mapping[str, Any], **env: str) -> str:
        with pytest.raises(SettingsError) as refused:
            self.parsed(folder, session, **env)
        return str(refused.value)

    @pytest.mark.parametrize("name", ["secret", "./secret"])
    def test_relative_to_the_configuration(self, file: Path, name: str) -> None:
        config = self.parsed(file.parent, {"secret_file": name})
        assert config.session.secret.reveal() == "from a file\nsecond line"

    def test_absolute(self, file: Path) -> None:
        assert self.parsed(Path("/"), {"secret_file": str(file)}).session.secret.reveal().startswith("from a")

    def test_from_a_variable_which_wins_over_the_configuration(self, file: Path) -> None:
        config = self.parsed(file.parent, {"secret": "sealed"}, APP_SESSION__SECRET_FILE="secret")
        assert config.session.secret.reveal().startswith("from a file")
        config = self.parsed(file.parent, {"secret_file": "secret"}, APP_SESSION__SECRET="from a variable")
        assert config.session.secret.reveal() == "from a variable"

    def test_given_twice(self, file: Path) -> None:
        message = (
            "session.secret: is given twice, by session.secret and session.secret_file; keep one of them"
        )
        assert self.said(file.parent, {"secret": "sealed", "secret_file": "secret"}) == message
        env = {"APP_SESSION__SECRET": "sealed", "APP_SESSION__SECRET_FILE": "secret"}
        assert "by APP_SESSION__SECRET and APP_SESSION__SECRET_FILE" in self.said(file.parent, {}, **env)

    def test_missing(self, tmp_path: Path) -> None:
        message = self.said(tmp_path, {"secret_file": "no"})
        assert message == (
            f"session.secret_file: '{tmp_path}/no' cannot be read: No such file or directory; "
            "create it, or name another"
        )

    def test_missing_where_a_command_makes_it(self, tmp_path: Path) -> None:
        @dataclasses.dataclass(frozen=True)
        class Keys:
            key: Secret = setting(help="A key.", made_by="run make-key > {file}")

        with pytest.raises(SettingsError) as refused:
            parse(Keys, {"key_file": "no"}, base_dir=tmp_path)
        assert str(refused.value).endswith(f"; run make-key > {tmp_path}/no, or name another")
        (tmp_path / "no").touch(mode=0o600)
        with pytest.raises(SettingsError) as refused:
            parse(Keys, {"key_file": "no"}, base_dir=tmp_path)
        assert str(refused.value) == f"key_file: '{tmp_path}/no' is empty; run make-key > {tmp_path}/no"

    def test_closed_to_whoever_runs_this(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def closed(*_: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        # Root, who may run the tests, can read everything.
        monkeypatch.setattr("oidcgate.settings.reading.os.open", closed)
        message = self.said(file.parent, {"secret_file": "secret"})
        assert "cannot be read: Permission denied; let the user that runs this read it" in message

    def test_readable_by_its_group(self, file: Path) -> None:
        file.chmod(0o640)
        config = self.parsed(file.parent, {"secret_file": "secret"})
        assert config.session.secret.reveal() == "from a file\nsecond line"

    @pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o444])
    def test_open_to_others(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        message = self.said(file.parent, {"secret_file": "secret"})
        assert f"can be read by others, or written by its group; run chmod 600 {file}" in message

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b" \n ", "is empty"),
            (b"\xff", "is not UTF-8"),
            (b"a" * 65537, "is larger than 64 KB"),
        ],
        ids=["empty", "blank", "no UTF-8", "large"],
    )
    def test_content(self, file: Path, content: bytes, message: str) -> None:
        file.write_bytes(content)
        assert message in self.said(file.parent, {"secret_file": "secret"})

    def test_a_named_pipe_is_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe", 0o600)
        assert "is not a regular file" in self.said(tmp_path, {"secret_file": "pipe"})

    def test_a_folder(self, tmp_path: Path) -> None:
        message = self.said(tmp_path, {"secret_file": "."})
        assert message.endswith(" is a folder; name a file")

    @pytest.mark.parametrize("value", [7, "", "a\0"], ids=repr)
    def test_no_file_name(self, tmp_path: Path, value: object) -> None:
        assert "is not a path" in self.said(tmp_path, {"secret_file": value})


class TestFilesOfText:
    @dataclasses.dataclass(frozen=True)
    class Certified:
        cert: FileText | None = setting(default=None, help="A certificate.")

    def parsed(self, data: Mapping[str, Any], folder: Path | None = None, **env: str) -> FileText | None:
        return parse(self.Certified, data, env=env, env_prefix="APP_", base_dir=folder).cert

    def test_in_place_or_in_a_file_that_everybody_may_read(self, tmp_path: Path) -> None:
        (tmp_path / "cert.pem").write_text("of a file\n")
        (tmp_path / "cert.pem").chmod(0o644)
        assert self.parsed({"cert": "in place"}) == "in place"
        assert self.parsed({"cert_file": "cert.pem"}, tmp_path) == "of a file"
        assert self.parsed({}, tmp_path, APP_CERT_FILE="cert.pem") == "of a file"
        assert self.parsed({"cert_file": "cert.pem"}, tmp_path, APP_CERT="a variable") == "a variable"
        assert self.parsed({}) is None

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            pytest.param(
                {"cert": "a", "cert_file": "b"}, "cert: is given twice, by cert and cert_file", id="twice"
            ),
            pytest.param({"cert": 7}, "cert: is not a string; write it in quotes", id="not-a-string"),
            pytest.param({"cert_file": "no"}, "cannot be read: No such file", id="missing"),
            pytest.param({"cert_file": "empty"}, "is empty; put the text, and nothing else", id="empty"),
        ],
    )
    def test_what_is_wrong(self, tmp_path: Path, data: Mapping[str, Any], message: str) -> None:
        (tmp_path / "empty").touch()
        with pytest.raises(SettingsError, match=message):
            self.parsed(data, tmp_path)

    def test_the_reference(self) -> None:
        assert describe(self.Certified) == [SettingDoc("cert", "text", "unset", "A certificate.", False)]


def test_variables_override_single_keys() -> None:
    config = parsed(
        {"public_url": "file", "session": {"secret": "sealed", "same_site": "strict"}},
        APP_PUBLIC_URL="variable",
        APP_WORKERS="8",
        APP_DEBUG="Yes",
        APP_SCOPES="a, b\tc,d",
        APP_FOLDER="/x",
        APP_SESSION__IDLE_MINUTES="1.5",
        APP_SESSION__SECRET="other",
        APP_BACKUP__SECRET="third",
    )
    assert (config.public_url, config.workers, config.debug, config.folder) == (
        "variable",
        8,
        True,
        Path("/x"),
    )
    assert config.scopes == ("a", "b", "c", "d")
    assert (config.session.idle_minutes, config.session.same_site) == (1.5, "strict")
    assert config.session.secret.reveal() == "other"
    assert config.backup is not None
    assert config.backup.secret.reveal() == "third"


@pytest.mark.parametrize("text", ["false", "0", "NO", "off"])
def test_a_variable_says_no(text: str) -> None:
    assert parsed({**GOOD, "debug": True}, APP_DEBUG=text).debug is False


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("APP_WORKERS", "two", "'two' (from APP_WORKERS) is not an integer"),
        ("APP_WORKERS", "1_0", "is not an integer"),
        ("APP_WORKERS", "٣", "is not an integer"),
        ("APP_WORKERS", "9" * 5000, "is not an integer"),
        ("APP_SESSION__IDLE_MINUTES", "nan", "is not a finite number"),
        ("APP_SESSION__IDLE_MINUTES", "1e3", "is not a finite number"),
        ("APP_PUBLIC_URL", "\udc80", "is not valid UTF-8"),
        ("APP_RULES", "x", "rules: cannot be set by APP_RULES; set it in the file"),
        ("APP_EXTRA", "{}", "cannot be set by APP_EXTRA"),
        ("APP_RULES__PATH", "/", "is a variable that sets nothing"),
        ("APP_ZZZ", "x", "APP_ZZZ: is a variable that sets nothing; remove it"),
        ("APP_SESSION__SAME_SITE", "none", "'none' is not one of"),
    ],
)
def test_a_wrong_variable(variable: str, text: str, message: str) -> None:
    (problem,) = said(GOOD, **{variable: text})
    assert message in problem


@pytest.mark.parametrize(
    "name",
    [
        "APP_CONFIG",
        "APP_SERVICE_HOST",
        "APP_SERVICE_PORT_HTTP",
        "APP_PORT",
        "APP_PORT_80_TCP_ADDR",
        "OTHER_X",
    ],
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    assert parsed(GOOD, **{name: "tcp://10.0.0.1:80"}) == parsed()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert parsed(APP_PUBLIC_URL="", APP_BACKUP__SECRET="") == parsed()


def test_without_a_prefix_other_variables_are_not_looked_at() -> None:
    assert parse(Config, GOOD, env={"PATH": "/bin", "workers": "3", "WORKERS": "4"}).workers == 4


def no_deputies(config: Config) -> Iterable[Problem]:
    if config.workers > 1:
        yield Problem("workers", config.workers, "is more than one", "use 1")


def a_long_name(config: Config) -> Iterable[Problem]:
    yield Problem("public_url", config.public_url, "is too short", "make it longer")


def test_whoever_reads_it_has_rules_that_are_told_beside_all_others() -> None:
    checks = (a_long_name, no_deputies)
    data = {**GOOD, "public_url": 1, "session": {"secret": "no"}}
    with pytest.raises(SettingsError) as refused:
        parse(Config, data, checks=checks)
    # What reads a wrong field has nothing to say; the others have.
    assert [problem.key for problem in refused.value.problems] == ["public_url", "session.secret", "workers"]
    assert parse(Config, {**GOOD, "workers": 1}, checks=[no_deputies]).workers == 1


class TestFile:
    def load(self, path: Path, **env: str) -> Config:
        return load(Config, path, env=env, env_prefix="APP_")

    def test_paths_are_relative_to_it(self, tmp_path: Path) -> None:
        file = tmp_path / "app.toml"
        (tmp_path / "key").write_text("sealed")
        (tmp_path / "key").chmod(0o600)
        file.write_text(
            'public_url = "x"\nfolder = "here"\n[session]\nsecret_file = "key"\n[[rules]]\npath = "/"\n'
        )
        config = self.load(file, APP_WORKERS="3")
        assert (config.folder, config.workers, config.rules) == (tmp_path / "here", 3, (Rule(path="/"),))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            pytest.param(
                b"a = 1\nb = = 2\n", "line 2, column 5, has a value that is none; put text", id="value"
            ),
            pytest.param(b"a = yes\n", "line 1, column 5, has a value that is none; put text", id="word"),
            pytest.param(
                b"a = 1\n\n[x\n", "line 3, column 3, has a table's name without an end;", id="table"
            ),
            pytest.param(b"a\n", "line 1, column 2, has a key without a value; write key =", id="no-value"),
            pytest.param(b"a = 1\n= 2\n", "line 2, column 1, is no setting; write key = value", id="no-key"),
            pytest.param(b'a = "x\nb = 1\n', "line 1, column 7, has a text without an end; put", id="quote"),
            pytest.param(
                b"a = 'x\nb = 1\n", "line 2, the last, is in a text without an end; put", id="apostrophe"
            ),
            pytest.param(b'a = 1\nb = """x\n', "line 2, the last, has a text without an end", id="long-text"),
            pytest.param(
                b'a = "C:\\q"\n', "line 1, column 10, has a backslash that means nothing", id="backslash"
            ),
            pytest.param(b"a = [1,\n2\n", "line 2, the last, has a list without an end; put ,", id="list"),
            pytest.param(b"a = {b = 1\n", "line 1, column 11, has a { without an end", id="inline-table"),
            pytest.param(
                b"a = 1 b = 2\n", "line 1, column 7, goes on behind its end; put", id="two-on-a-line"
            ),
            pytest.param(
                b"a = 1\na = 2\n", "line 2 gives a a second time, first in line 1; keep", id="twice"
            ),
            pytest.param(
                b"[t]\na = 1\n[u]\na = 1\nb.c = 2\na = 3",
                "line 6 gives a a second time, first in line 4; keep one",
                id="twice-in-its-table",
            ),
            pytest.param(
                b"[t]\na = 1\n[u]\n[t]\nb = 2",
                "line 4 gives the table [t] a second time, first in line 1; put all its keys",
                id="table-twice",
            ),
            pytest.param(
                b"a = {b = 1, b = 2}", "line 1 gives b twice inside its { }; keep", id="twice-inline"
            ),
            pytest.param(b"a = 1\nb = '\xff'\n", "line 2 is not UTF-8 text; save it as UTF-8", id="utf8"),
            pytest.param(b"a = " + b"[" * 100_000, "has lists or tables too deep in each other", id="deep"),
            pytest.param(b"a = " + b"9" * 5000, "has a number that is too long", id="digits"),
        ],
    )
    def test_what_is_no_toml_is_named_with_its_line(self, tmp_path: Path, text: bytes, message: str) -> None:
        file = tmp_path / "app.toml"
        file.write_bytes(text)
        with pytest.raises(SettingsError) as refused:
            self.load(file)
        assert str(refused.value).startswith(f"{file}: {message}")

    @given(st.text(max_size=60))
    def test_whatever_is_no_toml_is_told_in_one_line(self, text: str) -> None:
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_text(text, errors="replace")
            try:
                read_toml(Path(file.name))
            except SettingsError as error:
                [problem] = error.problems
                assert "\n" not in str(problem)
                assert problem.fix

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read: No such file"):
            self.load(tmp_path / "no.toml")
        with pytest.raises(SettingsError, match="is a folder; name a file"):
            self.load(tmp_path)


def test_the_reference() -> None:
    documented = {doc.key: doc for doc in describe(Config)}
    assert documented["public_url"] == SettingDoc("public_url", "string", "required", "The address.", False)
    assert documented["session.secret"] == SettingDoc(
        "session.secret", "secret", "required", "Seals cookies.", True
    )
    assert documented["workers"][1:3] == ("integer 1 to 64", "2")
    assert documented["session.absolute_minutes"][1:3] == ("number from 1", "720.0")
    assert documented["session.same_site"][1:3] == ('string out of "lax", "strict"', '"lax"')
    assert documented["scopes"][1:3] == ("list of strings", '["openid", "profile"]')
    assert documented["folder"][1:3] == ("path", "unset")
    assert documented["debug"][1:3] == ("boolean", "false")
    assert documented["extra"][1:3] == ("table", "{}")
    assert documented["rules[].token"].secret
    assert "backup.secret" in documented


def test_an_error_survives_pickling() -> None:
    """A test runner, or a process pool, hands it on."""
    with pytest.raises(SettingsError) as refused:
        parsed({})
    copy = pickle.loads(pickle.dumps(refused.value))  # noqa: S301
    assert str(copy) == str(refused.value)
    assert copy.problems == refused.value.problems


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "public_url",
        "workers",
        "debug",
        "scopes",
        "folder",
        "extra",
        "session",
        "backup",
        "rules",
        "secret",
        "path",
    ]
)
TABLES = st.dictionaries(
    KEYS | st.text(max_size=5), JSON | st.dictionaries(KEYS, JSON) | st.lists(st.dictionaries(KEYS, JSON))
)
NAMES = st.sampled_from([*KEYS.elements, "SESSION__SECRET", "SESSION__IDLE_MINUTES", "BACKUP__SECRET_FILE"])


@given(TABLES, st.dictionaries(NAMES.map(lambda name: "APP_" + name.upper()), st.text()))
def test_whatever_is_given_nothing_but_a_settings_error_comes_back(
    data: dict[str, Any], env: dict[str, str]
) -> None:
    try:
        config = parse(Config, data, env=env, env_prefix="APP_")
    except SettingsError as error:
        assert str(error).encode()  # noqa: PT017 (either outcome is right)
    else:
        assert isinstance(config.session.secret, Secret)


WORDS = st.text(min_size=1).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    session = {
        "secret": draw(WORDS.filter(lambda text: len(text) > 3)),
        "idle_minutes": draw(st.floats(1, 700)),
    }
    rules = st.fixed_dictionaries(
        {"path": WORDS.map("/".__add__), "allow": st.sampled_from(["anyone", "known"])}
    )
    return {
        "public_url": draw(WORDS),
        "workers": draw(st.integers(1, 64)),
        "debug": draw(st.booleans()),
        "scopes": draw(st.lists(WORDS)),
        "session": session,
        "rules": draw(st.lists(rules, max_size=3)),
        "extra": draw(st.dictionaries(WORDS, st.integers())),
    }


@given(configurations())
def test_what_is_valid_comes_back_as_it_was_given(data: dict[str, Any]) -> None:
    config = parse(Config, data)
    session = {"secret": config.session.secret.reveal(), "idle_minutes": config.session.idle_minutes}
    assert data == {
        "public_url": config.public_url,
        "workers": config.workers,
        "debug": config.debug,
        "scopes": list(config.scopes),
        "session": session,
        "rules": [{"path": rule.path, "allow": rule.allow} for rule in config.rules],
        "extra": dict(config.extra),
    }
