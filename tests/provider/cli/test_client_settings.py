"""`client add --set`, `client set`, `client show` and `client secret`: settings on a command line."""

import json
from typing import Any

import pytest

from oidcgate.settings import describe
from provider.client_settings import ClientSettings
from tests.provider.cli.shell import Shell

URI = "https://x.example/cb"
KEYS = "https://x.example/keys"


def shown(shell: Shell, client_id: str = "x") -> dict[str, str]:
    text = shell.run("client", "show", client_id).stdout
    return dict(line.partition(": ")[::2] for line in text.splitlines())


def add(shell: Shell, *options: str) -> str:
    """Add a client `x`; its secret, if it was given one."""
    result = shell.run("client", "add", "--id", "x", "--redirect-uri", URI, *options)
    found = [line for line in result.stdout.splitlines() if line.startswith("client_secret: ")]
    return found[0].removeprefix("client_secret: ") if found else ""


def changes(output: str) -> list[str]:
    """What the audit log says was done to a client."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [event["change"] for event in events if event["event"] == "provider.client_changed"]


@pytest.mark.row("S-47")
def test_client_add_with_everything(shell: Shell) -> None:
    bye = "https://x.example/bye"
    options = ["--post-logout-redirect-uri", bye, "--auth-method", "none"]
    flows = ["--flow", "authorization_code", "--flow", "refresh_token"]
    scopes = ["--scope", "openid", "--scope", "offline_access"]
    kind = ["--application-type", "native", "--require-pkce"]
    assert add(shell, *options, *flows, *scopes, "--trusted", "--acr-profile", "eam", *kind) == ""
    said = {
        "client_id": "x",
        "kept in": "database",
        "secret": "none",
        "name": "x",
        "enabled": "yes",
        "application_type": "native",
        "auth_method": "none",
        "redirect_uris": URI,
        "post_logout_redirect_uris": bye,
        "flows": "authorization_code refresh_token",
        "require_pkce": "yes",
        "scopes": "openid offline_access",
        "trusted": "yes",
        "second_factor": "realm",
        "acr_profile": "eam",
    }
    assert said.items() <= shown(shell).items()


@pytest.mark.row("S-47")
def test_every_setting_is_shown_but_the_secret(shell: Shell) -> None:
    secret = add(shell)
    settings = {doc.key for doc in describe(ClientSettings)}
    not_settings = {"kept in", "secret"}
    assert shown(shell).keys() - not_settings == settings - {"client_secret", "client_secret_sha256"}
    assert secret not in str(shown(shell))
    assert shown(shell)["secret"] == "kept as a hash"


@pytest.mark.parametrize(
    ("pair", "key", "value"),
    [
        pytest.param("require_pkce=true", "require_pkce", "yes", id="boolean"),
        pytest.param("acr_profile=eam", "acr_profile", "eam", id="word"),
        pytest.param('name="A name"', "name", "A name", id="string"),
        pytest.param("name=A name, plain", "name", "A name, plain", id="plain-text"),
        pytest.param("name=2024", "name", "2024", id="text-of-digits"),
        pytest.param("allowed_users=bob, ALICE", "allowed_users", "bob alice", id="words"),
        pytest.param('allowed_groups=["a b", "c"]', "allowed_groups", "a b c", id="list"),
        pytest.param("scopes=*", "scopes", "*", id="all-scopes"),
        pytest.param(f"jwks_uri={KEYS}", "jwks_uri", KEYS, id="url"),
        pytest.param("restricted_scopes=", "restricted_scopes", "", id="nothing"),
    ],
)
def test_settings_are_written_as_in_the_file_or_plainly(
    shell: Shell, pair: str, key: str, value: str
) -> None:
    add(shell, "--set", pair)
    assert shown(shell)[key] == value
    shell.run("client", "add", "--id", "y", "--redirect-uri", URI)
    result = shell.run("client", "set", "y", pair)
    assert shown(shell, "y")[key] == value
    assert changes(result.stderr) == ["changed"]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("name", "'name' is not KEY=VALUE"),
        ("client_secret=canary", "client_secret is not set here: the provider makes it"),
        ("client_secret_sha256=canary", "the provider makes it"),
        ("client_id=y", "client_id is not set here"),
        ("enabled=false", "use `client enable` and `client disable`"),
        ("nmae=X", "did you mean 'name'"),
        ("trusted=maybe", "trusted: 'maybe' is not a boolean"),
        ("flows=code", "is not one of"),
        ("id_token_signed_response_alg=RS265", "did you mean RS256"),
        ("id_token_signed_response_alg=ES256", "is not offered by this realm"),
        ("id_token_encrypted_response_alg=RSA-OAEP", "jwks_uri: is missing"),
        ("jwks_uri=http://x.example/keys", "jwks_uri: 'http://x.example/keys' is never fetched"),
        ("auth_method=private_key_jwt", "jwks_uri: is missing, and so is jwks"),
        ("scopes=openid,nothing", "scopes[1]: 'nothing' is no scope of this realm"),
        ("redirect_uris=http://x.example/cb", "redirect_uris[0]"),
    ],
)
@pytest.mark.row("P-13", "S-49", "P-14")
def test_a_change_is_refused_by_what_would_result(shell: Shell, pair: str, message: str) -> None:
    add(shell)
    before = shown(shell)
    result = shell.run("client", "set", "x", pair, code=1)
    assert message in result.stderr
    assert "canary" not in result.output
    assert shown(shell) == before
    assert message in shell.run("client", "add", "--redirect-uri", URI, "--set", pair, code=1).stderr


@pytest.mark.row("P-13")
def test_what_was_fine_before_is_judged_again_with_the_change(shell: Shell) -> None:
    add(shell, "--flow", "authorization_code", "--flow", "client_credentials")
    result = shell.run("client", "set", "x", "auth_method=none", code=1)
    assert "flows: 'client_credentials' is not for a client without a secret" in result.stderr


@pytest.mark.parametrize("command", [["client", "set", "NAME", "name=X"], ["client", "secret", "NAME"]])
@pytest.mark.parametrize(
    ("name", "message"), [("app", "is written in the configuration"), ("nobody", "there is no client nobody")]
)
def test_only_clients_of_the_database_are_changed(
    shell: Shell, command: list[str], name: str, message: str
) -> None:
    arguments = [name if part == "NAME" else part for part in command]
    assert message in shell.run(*arguments, code=1).stderr


@pytest.mark.row("S-47", "C-10")
def test_a_new_secret_is_shown_once(shell: Shell) -> None:
    first = add(shell)
    result = shell.run("client", "secret", "x")
    new = result.stdout.strip().removeprefix("client_secret: ")
    assert 43 <= len(new) <= 100
    assert new != first
    assert changes(result.stderr) == ["secret_renewed"]
    assert new not in result.stderr + str(shown(shell))
    assert shown(shell)["secret"] == "kept as a hash"
    shell.run("client", "secret", "x", "--overlap-hours", "0.5")
    assert "the one before is good for" in shown(shell)["secret"]


@pytest.mark.row("C-10", "S-29")
def test_a_secret_that_is_a_hash_cannot_sign(shell: Shell) -> None:
    text = shell.config.read_text().replace(
        "[[clients]]", 'further_signing_algorithms = ["HS256"]\n[[clients]]', 1
    )
    shell.config.write_text(text)
    add(shell)
    wanted = ["client", "set", "x", "id_token_signed_response_alg=HS256"]
    refused = shell.run(*wanted, code=1)
    assert "client_secret: is not there in a form that this needs" in refused.stderr
    made = shell.run(*wanted, "--new-secret")
    assert made.stdout.startswith("client_secret: ")
    assert changes(made.stderr) == ["changed", "secret_renewed"]
    assert shown(shell)["secret"] == "kept, to sign with"
    # And is a hash again, as soon as nothing needs it.
    shell.run("client", "set", "x", "id_token_signed_response_alg=")
    assert shown(shell)["secret"] == "kept as a hash"
    shell.run("client", "set", "x", "auth_method=none")
    assert shown(shell)["secret"] == "none"
    assert "needs no secret" in shell.run("client", "secret", "x", code=1).stderr
    assert "--new-secret" in shell.run("client", "set", "x", "auth_method=client_secret_post", code=1).stderr


@pytest.mark.parametrize("written", ["json", "toml"])
def test_keys_are_given_as_a_table(shell: Shell, written: str) -> None:
    key: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    table = "{ keys = [{ " + ", ".join(f'{name} = "{value}"' for name, value in key.items()) + " }] }"
    said = table if written == "toml" else json.dumps({"keys": [key]})
    pairs = ["auth_method=private_key_jwt", "token_endpoint_auth_signing_alg=EdDSA", f"jwks={said}"]
    assert add(shell, *(option for pair in pairs for option in ("--set", pair))) == ""
    assert json.loads(shown(shell)["jwks"]) == {"keys": [key]}


def test_no_change_is_no_command(shell: Shell) -> None:
    add(shell)
    result = shell.run("client", "set", "x", code=2)
    assert "Name a KEY=VALUE; `client show x` lists them." in result.stderr
    assert changes(result.stderr) == []
