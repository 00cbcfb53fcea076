"""`oidcgate sessions list`, `sessions revoke` and `sessions keys`."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.session import Absent, AbsentReason, Found
from oidcgate.gate.sessions import Sessions
from oidcgate.web.sealing import new_secret
from tests.oidcgate.gate.parts import cookie_of, record

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
NOW = 1_800_000_000
ISSUER = "https://id.example"


def run(config: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["sessions", command, "--config", str(config), *arguments])


@pytest.fixture(params=["sealed", "sql", "sqlite:///sessions.db"])
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "oidcgate.toml"
    path.write_text(
        'public_url = "https://app.example.com"\n'
        f'[provider]\nname = "Example"\nissuer = "{ISSUER}"\nclient_id = "app"\nclient_secret = "canary"\n'
        f'[users]\nsource = "any"\n[session]\nsecret = "{SECRET}"\nstore = "{request.param}"\n'
    )
    return path


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oidcgate.cli.opening.time.time", lambda: NOW + 60)


@pytest.fixture
def worker(config: Path) -> Iterator[Sessions]:
    """A worker of the server, with sessions that it remembers."""
    parts = build(load_config(config, {}))
    with closing(parts.state):
        yield parts.sessions


@pytest.fixture
def cookies(worker: Sessions) -> dict[str, str]:
    made = {}
    for number, (session_id, user, more) in enumerate(
        [
            ("s1", "Bob", {"sid": "op-1"}),
            ("s2", "Alice", {"sid": "op-2"}),
            ("s3", "Alice", {"sid": "op-3", "sub": "another"}),
        ]
    ):
        made[session_id] = cookie_of(
            worker.create(record(session_id, user, iss=ISSUER, **more), NOW + number)
        )
        assert isinstance(worker.load(made[session_id], NOW + 5), Found)
    return made


def alive(worker: Sessions, cookies: dict[str, str]) -> list[str]:
    return [name for name, cookie in cookies.items() if isinstance(worker.load(cookie, NOW + 61), Found)]


@pytest.mark.row("G-08")
def test_sessions_are_listed(config: Path, worker: Sessions, cookies: dict[str, str]) -> None:
    found = worker.load(cookies["s1"], NOW + 50)
    assert isinstance(found, Found)
    worker.touch(found, NOW + 50)
    result = run(config, "list")
    assert result.exit_code == 0, result.output
    sealed = "sealed" in config.read_text()
    used = ["-"] * 3 if sealed else ["2027-01-15T08:00:01Z", "2027-01-15T08:00:02Z", "2027-01-15T08:00:50Z"]
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["SESSION", "USER", "PROVIDER", "BEGAN", "LAST", "USED", "ENDS", "BY"],
        ["s2", "Alice", "Example", "2027-01-15T08:00:01Z", used[0], "2027-01-15T20:00:01Z"],
        ["s3", "Alice", "Example", "2027-01-15T08:00:02Z", used[1], "2027-01-15T20:00:02Z"],
        ["s1", "Bob", "Example", "2027-01-15T08:00:00Z", used[2], "2027-01-15T20:00:00Z"],
    ]
    heads, first, *_ = result.stdout.splitlines()
    assert heads.index("ENDS BY") == first.index("2027-01-15T20"), "a table"
    assert ("only its browser knows" in result.stderr) is sealed


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (["--user", "ALICE"], ["s2", "s3"]),
        (["--sid", "op-1"], ["s1"]),
        (["--user", "alice", "--sid", "op-3"], ["s3"]),
        (["--user", "alice", "--sid", "op-1"], []),
        (["--provider", "Example"], ["s2", "s3", "s1"]),
        (["--user", "mallory"], []),
    ],
)
def test_some_are_listed_as_json(
    config: Path, cookies: dict[str, str], arguments: list[str], listed: list[str]
) -> None:
    result = run(config, "list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["session_id"] for line in lines] == listed
    if lines:
        assert set(lines[0]) == {
            *("session_id", "user_name", "provider", "iss", "sub", "sid", "auth_time", "acr", "amr"),
            *("began_at", "seen_at", "ends_at"),
        }


def test_those_of_the_break_glass_page_are_a_provider_of_their_own(
    config: Path, worker: Sessions, cookies: dict[str, str]
) -> None:
    there = record("s4", "Carol", iss="https://app.example.com/.oidcgate/break-glass", idp="break-glass")
    worker.create(there, NOW)
    result = run(config, "list", "--json", "--provider", "break-glass")
    assert [json.loads(line)["session_id"] for line in result.stdout.splitlines()] == ["s4"]
    assert "s4" not in run(config, "list", "--provider", "Example").stdout


def test_providers_and_break_glass_pages_of_several_hosts(tmp_path: Path) -> None:
    config = tmp_path / "oidcgate.toml"
    config.write_text(
        'public_urls = ["https://app.example.com", "https://two.example.com"]\n'
        f'[[providers]]\nname = "Example"\nissuer = "{ISSUER}"\nclient_id = "a"\nclient_secret = "x"\n'
        '[[providers]]\nname = "Two"\nissuer = "https://two.example"\nclient_id = "a"\nclient_secret = "x"\n'
        'hosts = ["two.example.com"]\n'
        f'[users]\nsource = "any"\n[session]\nsecret = "{SECRET}"\n'
    )
    parts = build(load_config(config, {}))
    with closing(parts.state):
        for number, host in enumerate(("app", "two")):
            iss = f"https://{host}.example.com/.oidcgate/break-glass"
            parts.sessions.create(record(f"s{number}", "Carol", iss=iss, idp="break-glass"), NOW + number)
        parts.sessions.create(record("s2", "Carol", iss="https://two.example", idp="Two", sid="op"), NOW + 2)
        for name, ids in (("break-glass", ["s0", "s1"]), ("Two", ["s2"]), ("Example", [])):
            result = run(config, "list", "--json", "--provider", name)
            assert [json.loads(line)["session_id"] for line in result.stdout.splitlines()] == ids
        assert "sessions that ended: 1;" in run(config, "revoke", "--sid", "op").stdout


@pytest.mark.row("G-08", "T-03")
@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--user", "alice"], ["s1"]),
        (["--id", "s2"], ["s1", "s3"]),
        (["--sid", "op-1"], ["s2", "s3"]),
        (["--sid", "op-1", "--provider", "Example"], ["s2", "s3"]),
    ],
)
def test_what_is_revoked_has_ended_at_the_next_request_of_a_worker_that_remembers_it(
    config: Path, worker: Sessions, cookies: dict[str, str], arguments: list[str], left: list[str]
) -> None:
    result = run(config, "revoke", *arguments)
    assert result.exit_code == 0, result.output
    assert f"sessions that ended: {3 - len(left)}; in force at the next request" in result.stdout
    event = json.loads(result.stderr.splitlines()[0])
    assert (event["event"], event["ended"]) == ("sessions.revoked", 3 - len(left))
    assert alive(worker, cookies) == left
    for name in set(cookies) - set(left):
        assert worker.load(cookies[name], NOW + 61) == Absent(AbsentReason.REVOKED)
    again = json.loads("[" + ",".join(run(config, "list", "--json").stdout.splitlines()) + "]")
    assert sorted(line["session_id"] for line in again) == left


@pytest.mark.row("G-08")
def test_a_user_may_sign_in_again(config: Path, worker: Sessions, cookies: dict[str, str]) -> None:
    run(config, "revoke", "--user", "Alice")
    cookie = cookie_of(worker.create(record("s9", "Alice", iss=ISSUER), NOW + 62))
    assert isinstance(worker.load(cookie, NOW + 62), Found)


def test_what_ended_is_told_as_json(config: Path, cookies: dict[str, str]) -> None:
    result = run(config, "revoke", "--user", "alice", "--json")
    assert sorted(json.loads(line)["session_id"] for line in result.stdout.splitlines()) == ["s2", "s3"]


def test_a_session_that_nobody_knows_is_told_and_revoked_all_the_same(
    config: Path, worker: Sessions, cookies: dict[str, str]
) -> None:
    worker.index.remove("s2")
    result = run(config, "revoke", "--id", "s2")
    assert result.exit_code == 1
    assert "no session s2 is listed" in result.stderr
    assert alive(worker, cookies) == ["s1", "s3"]
    nobody = run(config, "revoke", "--user", "mallory")
    assert nobody.exit_code == 0
    assert nobody.stdout.startswith("no session of mallory is listed")


@pytest.mark.parametrize(
    ("command", "arguments", "status", "told"),
    [
        ("revoke", [], 2, "name one of --id, --user and --sid"),
        ("revoke", ["--id", "s1", "--user", "Alice"], 2, "name one of"),
        ("revoke", ["--user", "Alice", "--provider", "Example"], 2, "--provider goes with --sid"),
        (
            "revoke",
            ["--sid", "op-1", "--provider", "Other"],
            1,
            "'Other' is no provider here; use one of 'Example'",
        ),
        ("list", ["--provider", "Other"], 1, "'Other' is no provider here"),
    ],
)
def test_what_cannot_be_meant_ends_nothing(
    config: Path,
    worker: Sessions,
    cookies: dict[str, str],
    command: str,
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    result = run(config, command, *arguments)
    assert result.exit_code == status
    assert told in result.stderr
    assert alive(worker, cookies) == ["s1", "s2", "s3"]


def test_a_session_that_its_store_no_longer_has_is_not_listed(
    config: Path, worker: Sessions, cookies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oidcgate.cli.opening.time.time", lambda: NOW + 480 * 60 + 1)
    result = run(config, "list", "--json")
    listed = [json.loads(line)["session_id"] for line in result.stdout.splitlines()]
    if "sealed" in config.read_text():
        assert listed == ["s2", "s3", "s1"]
    else:
        assert listed == ["s3"]
        assert "not listed: 2 that session.store no longer has" in result.stderr


@pytest.mark.row("G-16")
def test_the_age_of_each_secret_is_shown(
    config: Path, worker: Sessions, cookies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = json.loads("[" + run(config, "keys", "--json").stdout + "]")
    assert (key["seals"], key["sealing_since"]) == (True, NOW)
    fresh = new_secret()
    config.write_text(config.read_text().replace(f'"{SECRET}"', f'"{fresh}\\n{SECRET}"'))
    monkeypatch.setattr("oidcgate.cli.opening.time.time", lambda: NOW + 86_400 * 3 + 60)
    before = [line.split() for line in run(config, "keys").stdout.splitlines()]
    assert before[0] == ["KEY", "USE", "SEALING", "SINCE", "DAYS"]
    assert before[1][1:] == ["seals", "never"]
    assert before[2] == [key["name"], "opens", "2027-01-15T08:00:00Z", "3"]
    rotated = build(load_config(config, {}))
    with closing(rotated.state):
        # Nobody is signed out by it, and the first sign-in under the new one counts.
        assert alive(rotated.sessions, cookies) == ["s1", "s2", "s3"]
        for later in (0, 86_400):
            rotated.sessions.create(record(f"new-{later}", "Carol", iss=ISSUER), NOW + 86_400 + later)
    after = [line.split() for line in run(config, "keys").stdout.splitlines()]
    assert after[1][1:] == ["seals", "2027-01-16T08:00:00Z", "2"]
    assert fresh not in run(config, "keys").output + run(config, "keys", "--json").output


@pytest.mark.parametrize("command", ["list", "keys"])
def test_a_gate_in_which_nobody_signed_in_gets_no_file_by_asking(
    config: Path, command: str, tmp_path: Path
) -> None:
    result = run(config, command)
    assert result.exit_code == 1
    assert "nobody has signed in yet" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["oidcgate.toml"]


def test_sessions_in_memory_are_the_servers_own(config: Path) -> None:
    text = (
        config.read_text()
        .replace('store = "sql"', 'store = "memory"')
        .replace("sqlite:///sessions.db", "memory")
    )
    config.write_text(text + '[state]\nstore = "memory"\n')
    result = run(config, "revoke", "--user", "alice")
    assert result.exit_code == 1
    assert "start the server anew instead" in result.output


def test_a_store_of_sessions_that_does_not_answer_is_told_by_its_name(
    config: Path, cookies: dict[str, str], tmp_path: Path
) -> None:
    if "sessions.db" not in config.read_text():
        pytest.skip("these sessions have no store of their own")
    for path in tmp_path.glob("sessions.db*"):
        path.write_bytes(b"no database" * 1000)
    result = run(config, "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("session.store: ")
    # What ends sessions is not kept there.
    assert run(config, "revoke", "--user", "alice").exit_code == 0
