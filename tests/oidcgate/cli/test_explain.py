"""`oidcgate explain`: the way from claims to the app, for claims of a file and of a last sign-in."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.context import Context
from oidcgate.gate.context_settings import STANDARD
from oidcgate.gate.last_sign_ins import LastSignIn
from oidcgate.identity import Identity

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
TEXT = f"""\
public_url = "https://app.example.com"

[provider]
name = "Example"
issuer = "https://id.example"
client_id = "app"
client_secret = "do-not-show"
fetch_groups = true
PROVIDER

[[provider.attributes]]
claim = 'https://example\\.com/level'
display_name = "Clearance"
type = "number"

[[provider.attributes]]
claim = "shoe_size"
display_name = "Size of shoes"
type = "number"

[[provider.mappings]]
source = 'https://example\\.com/level'
target = "level"

[[provider.mappings]]
target = "tenant"
static = "acme"

[[context]]
name = "level"
type = "number"

[[context]]
name = "tenant"

[users]
source = "file:users.toml"

[session]
secret = "{SECRET}"
claims = ["email"]

[forward]
preset = "oauth2-proxy"

[[forward.headers]]
name = "X-Level"
attribute = "level"

[[forward.headers]]
name = "X-Subject"
attribute = "sub"
"""
CLAIMS: dict[str, Any] = {
    "id_token": {"sub": "s-1", "preferred_username": "alice", "name": "Alice", "amr": ["pwd"]},
    "userinfo": {
        "sub": "s-1",
        "email": "alice@example.com",
        "email_verified": True,
        "updated_at": "2026-01-01",
        "groups": ["staff", "a,b"],
        "https://example.com/level": 7,
        "shoe_size": 41,
        "salary": 90_000,
    },
}


def hook(who: Identity) -> Any:
    """The operator's own code."""
    if who.claims.get("email") == "breaks@example.com":
        raise ValueError("hunter2")
    return {"level": 99, "name": None}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return written(tmp_path)


def written(folder: Path, provider: str = "") -> Path:
    path = folder / "oidcgate.toml"
    path.write_text(TEXT.replace("PROVIDER", provider))
    (folder / "users.toml").write_text(
        '[[users]]\nuserName = "Alice"\ndisplayName = "Alice Liddell"\n'
        '[[users]]\nuserName = "Carol"\nactive = false\n'
        '[[users]]\nuserName = "Dave"\n[[users]]\nuserName = "DAVE"\n'
    )
    return path


def write_second_host(path: Path, settings: str = "") -> None:
    """Add a host with a provider of its own."""
    text = path.read_text().replace("[provider]", "[[providers]]").replace("[[provider.", "[[providers.")
    urls = '"https://app.example.com", "https://two.example"'
    text = text.replace('public_url = "https://app.example.com"', f"public_urls = [{urls}]")
    other = 'name = "Two"\nissuer = "https://id.two.example"\nclient_id = "app"\nclient_secret = "x"\n'
    path.write_text(f'{text}\n[[providers]]\n{other}hosts = ["two.example"]\n{settings}\n')


def run(path: Path, *arguments: str, given: Any = None) -> Result:
    text = None if given is None else given if isinstance(given, str) else json.dumps(given)
    command = ["explain", "--config", str(path), *arguments]
    return CliRunner().invoke(main, command, input=text, env={"OIDCGATE_CONFIG": None})


def explained(path: Path, claims: Any = CLAIMS, *arguments: str) -> str:
    result = run(path, "--claims", "-", *arguments, given=claims)
    assert result.exit_code == 0, result.output
    return result.output


def row(output: str, attribute: str) -> list[str]:
    """The cells of the one row about an attribute."""
    (found,) = [
        cells
        for cells in (
            [cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.splitlines()
        )
        if len(cells) > 5 and cells[1] == attribute
    ]
    return found


@pytest.mark.row("A-25", "A-19")
def test_source_context_and_header_of_each_attribute(config: Path) -> None:
    output = explained(config)
    assert row(output, "email") == [
        *("userinfo", "email", "E-mail", "string", "email"),
        *("claims, X-Forwarded-Email", '"alice@example.com"'),
    ]
    assert row(output, r"https://example\.com/level") == [
        *("userinfo", r"https://example\.com/level", "Clearance", "number", "level", "claims, X-Level", "7")
    ]
    assert row(output, "groups")[5:] == ["claims, X-Forwarded-Groups", '["staff", "a,b"]']
    assert row(output, "name")[0] == "ID token"
    assert row(output, "name")[5] == "-"
    assert row(output, "acme")[:1] + row(output, "acme")[4:] == ["configuration", "tenant", "-", '"acme"']
    assert row(output, "shoe_size")[2:6] == ["Size of shoes", "number", "-", "not used"]
    assert row(output, "updated_at")[5] == "left out: string"
    assert row(output, "sub")[5:] == ["X-Subject", '"s-1"']


@pytest.mark.row("A-19")
def test_every_standard_attribute_is_there_by_its_display_name(config: Path) -> None:
    output = explained(config)
    for name, standard in STANDARD.items():
        assert row(output, name)[2:4] == [standard.display_name, str(standard.type)]
    assert "salary" not in output


@pytest.mark.row("A-25")
def test_what_the_app_is_told_to_the_letter(config: Path) -> None:
    told = explained(config).partition("told the app\n")[2]
    assert [line.split(maxsplit=1) for line in told.splitlines()] == [
        ["REMOTE_USER", "Alice"],
        ["claims", '{"email": "alice@example.com", "groups": ["staff", "a,b"], "level": 7}'],
        ["X-Forwarded-User", "Alice"],
        ["X-Forwarded-Preferred-Username", "Alice"],
        ["X-Forwarded-Email", "alice@example.com"],
        ["X-Forwarded-Groups", "staff,a%2Cb"],
        ["X-Level", "7"],
        ["X-Subject", "s-1"],
    ]


@pytest.mark.row("A-25")
def test_behind_the_sidecar_there_are_headers_alone(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text() + '[proxy]\nupstream = "http://127.0.0.1:8081"\n')
    output = explained(path)
    assert row(output, "email")[5] == "X-Forwarded-Email"
    told = output.partition("told the app\n")[2]
    assert told.startswith("X-Forwarded-User")
    assert "REMOTE_USER" not in told


@pytest.mark.row("A-25")
def test_upstreams_that_are_told_less(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(
        path.read_text()
        + '[[proxy.upstreams]]\nupstream = "http://127.0.0.1:1"\n'
        + '[[proxy.upstreams]]\nupstream = "http://127.0.0.1:2"\npath = "/b"\n'
        + 'identity_headers = ["X-Level"]\n'
        + '[[proxy.upstreams]]\nupstream = "http://127.0.0.1:3"\nhost = "c.example"\nidentity_headers = []\n'
    )
    assert explained(path).endswith("\n/b: only X-Level\nc.example/: none of these headers\n")


@pytest.mark.row("A-16", "A-17")
def test_methods(tmp_path: Path) -> None:
    assert "acr -, amr pwd\n" in explained(written(tmp_path))
    assert "acr -, amr mfa (the IdP says pwd)\n" in explained(written(tmp_path, 'amr = ["mfa"]'))
    nothing = {"preferred_username": "alice"}
    assert "amr mfa (the IdP says nothing)\n" in explained(written(tmp_path, 'amr = ["mfa"]'), nothing)


def test_one_object_of_claims_is_taken_for_the_id_token(config: Path) -> None:
    output = explained(config, {"sub": "s-1", "preferred_username": "alice", "email": "alice@example.com"})
    assert row(output, "email")[0] == "ID token"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alice", "file:users.toml knows Alice (Alice Liddell)"),
        ("carol", "file:users.toml: Carol is switched off"),
        ("dave", "several users of that name, and lets in none"),
        ("mallory", "knows nobody of that name, who is let in nowhere"),
    ],
)
def test_whom_the_directory_means(config: Path, name: str, said: str) -> None:
    assert said in explained(config, {"sub": "s", "preferred_username": name})


def test_an_address_that_is_not_verified(tmp_path: Path) -> None:
    claims = {"sub": "s", "preferred_username": "alice", "email": "a@example.com", "email_verified": False}
    output = explained(written(tmp_path), claims)
    assert row(output, "email")[5:] == ["left out: not verified", "-"]
    assert "a@example.com" not in output
    assert "X-Forwarded-Email               (not sent)" in output
    trusting = written(tmp_path, "insecure_unverified_email = true")
    assert row(explained(trusting, claims), "email")[-1] == '"a@example.com"'
    trusting.write_text(trusting.read_text().replace("[users]", '[users]\nmatch = "email"'))
    assert "directory" in explained(trusting, claims)
    path = written(tmp_path)
    path.write_text(path.read_text().replace("[users]", '[users]\nmatch = "email"'))
    output = explained(path, claims)
    assert "user name     'a@example.com' is not verified: nobody signs in with these claims" in output
    assert "told the app" not in output


def test_claims_of_a_provider_that_serves_another_host(config: Path) -> None:
    write_second_host(config)
    claims = {"sub": "s", "preferred_username": "alice", "name": "Jane"}
    for name in ("Two", "Example"):
        assert row(explained(config, claims, "--idp", name), "name")[-1] == '"Jane"'


def test_groups_that_a_provider_of_another_host_alone_fetches(config: Path) -> None:
    """Sessions of every host keep what one provider of the gate may give."""
    config.write_text(config.read_text().replace("fetch_groups = true", 'hosts = ["app.example.com"]'))
    write_second_host(config, "fetch_groups = true")

    output = explained(config, CLAIMS, "--idp", "Two")
    assert row(output, "groups")[5:] == ["claims, X-Forwarded-Groups", '["staff", "a,b"]']
    assert '"groups": ["staff", "a,b"]' in output.partition("told the app\n")[2].splitlines()[1]
    assert "groups" not in explained(config, CLAIMS, "--idp", "Example").partition("told the app\n")[0]


def test_claims_without_a_name_sign_nobody_in(config: Path) -> None:
    for claims in ({"sub": "s"}, {"preferred_username": ""}, {"preferred_username": 5}):
        assert "the claim preferred_username is missing: nobody signs in" in explained(config, claims)


def test_a_name_that_no_header_can_say(config: Path) -> None:
    path = config.parent / "users.toml"
    path.write_text('[[users]]\nuserName = "a,b"\n')
    output = explained(config, {"preferred_username": "a,b"})
    assert "userName 'a,b' cannot be said in a header, so nobody is let in under it." in output


def test_nothing_that_an_idp_says_moves_the_cursor(config: Path) -> None:
    claims = {"preferred_username": "al\x1b[2Jice", "email": "\u202ea\x1b[31m", "name": "\x9bx"}
    assert not {"\x1b", "\x9b", "\u202e"} & set(explained(config, claims))


@pytest.mark.row("A-24")
def test_the_hook_is_called_only_when_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, f'hook = "{__name__}:hook"')
    without = explained(path)
    assert f"{__name__}:hook, not called; --hook calls it" in without
    assert row(without, r"https://example\.com/level")[-1] == "7"
    output = explained(path, CLAIMS, "--hook")
    hooked = [line.split() for line in output.splitlines() if line.startswith("hook  ") and "number" in line]
    assert hooked == [["hook", "-", "-", "number", "level", "claims,", "X-Level", "99"]]
    assert "taken away" in output
    failed = run(path, "--claims", "-", "--hook", given={**CLAIMS["id_token"], "email": "breaks@example.com"})
    assert failed.exit_code == 1
    assert "it raised ValueError; nobody signs in while it fails" in failed.output
    assert "hunter2" not in failed.output


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        pytest.param([], None, "give --claims or --user", id="neither"),
        pytest.param(["--claims", "-", "--user", "x"], "{}", "give --claims or --user", id="both"),
        pytest.param(["--claims", "-"], "[]", "give one JSON object", id="no object"),
        pytest.param(["--claims", "-"], "{", "give one JSON object", id="no JSON"),
        pytest.param(["--claims", "-"], '{"a": 1, "a": 2}', "give one JSON object", id="twice"),
        pytest.param(["--claims", "-"], '{"id_token": 5}', "have to be objects", id="token no object"),
        pytest.param(["--claims", "-", "--idp", "x"], "{}", "no provider 'x'; there is Example", id="idp"),
    ],
)
def test_calls_that_cannot_be_meant(config: Path, arguments: list[str], given: str | None, told: str) -> None:
    result = run(config, *arguments, given=given)
    assert result.exit_code == 2
    assert told in result.output


def test_a_wrong_configuration_is_told_as_everywhere(config: Path) -> None:
    config.write_text(config.read_text().replace('claims = ["email"]', 'claims = ["salary"]'))
    result = run(config, "--claims", "-", given={})
    assert result.exit_code == 1
    assert "session.claims: 'salary' is no context attribute" in result.output


class TestOfAUser:
    """The last sign-in, as a server noted it."""

    def signed_in(self, path: Path) -> None:
        parts = build(load_config(path, {}))
        now = int(time.time())
        who = Identity("Alice", "s-1", "https://id.example")
        context: Context
        context, _ = parts.contexts.read(
            {**CLAIMS["id_token"], **CLAIMS["userinfo"]}, CLAIMS["id_token"], who
        )
        parts.last_sign_ins.note(
            LastSignIn("Alice", "alice", "https://id.example", "s-1", now, "high", ("mfa",), context.ways)
        )
        parts.pins.claim("Alice", "https://id.example", "s-1", now)

    @pytest.mark.row("A-25")
    @pytest.mark.parametrize("name", ["Alice", "alice"])
    def test_it_says_where_each_attribute_came_from_and_no_value(self, config: Path, name: str) -> None:
        self.signed_in(config)
        result = run(config, "--user", name)
        assert result.exit_code == 0, result.output
        assert "file:users.toml knows Alice (Alice Liddell)" in result.output
        assert "s-1 of https://id.example, since " in result.output
        assert "as 'alice', s-1 of https://id.example" in result.output
        assert "acr high, amr mfa" in result.output
        assert row(result.output, "email") == [
            *("userinfo", "email", "E-mail", "string", "email", "claims, X-Forwarded-Email")
        ]
        assert row(result.output, "updated_at")[5] == "left out: string"
        assert "alice@example.com" not in result.output
        assert "Values are in the person's session alone." in result.output

    def test_of_somebody_who_did_not_sign_in_lately(self, config: Path) -> None:
        self.signed_in(config)
        result = run(config, "--user", "mallory")
        assert result.exit_code == 0
        assert "knows nobody of that name, who is let in nowhere" in result.output
        assert "none within 12 hours; --claims explains claims of a file" in result.output

    def test_before_anybody_signed_in_no_store_is_made(self, config: Path) -> None:
        result = run(config, "--user", "Alice")
        assert result.exit_code == 1
        assert "nobody has signed in yet" in result.output
        assert not (config.parent / "oidcgate-state.db").exists()

    def test_what_is_in_the_memory_of_a_server_is_not_to_be_had(self, config: Path) -> None:
        config.write_text(config.read_text() + '[state]\nstore = "memory"\n')
        result = run(config, "--user", "Alice")
        assert result.exit_code == 1
        assert (
            "state.store: 'memory' is the server's own; give the claims of a person with --claims"
            in result.output
        )
