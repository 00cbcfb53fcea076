"""`client registration-token` and `client remove`: what lets applications register, and how one goes."""

import json

import pytest

from tests.provider.cli.shell import Shell, columns
from tests.provider.registering import CALLBACK
from tests.provider.world import World

GROUP = ("client", "registration-token")


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.config.write_text(f"{shell.config.read_text()}\n[registration]\nenabled = true\n")
    return shell


def made(shell: Shell, *options: str) -> tuple[str, str]:
    """Id and text of a new token."""
    lines = shell.run(*GROUP, "add", *options).stdout.splitlines()
    said = dict(line.partition(": ")[::2] for line in lines)
    return said["id"], said["token"]


def events(output: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.mark.row("E-23")
def test_a_token_is_shown_once_listed_and_revoked(shell: Shell) -> None:
    result = shell.run(*GROUP, "add", "--uses", "3", "--hours", "0.5", "--note", "the build farm")
    token_id, token = (line.partition(": ")[2] for line in result.stdout.splitlines())
    assert len(token) == 43
    assert "cannot be shown again" in result.stderr
    (event,) = events(result.stderr)
    assert (event["event"], event["token_id"], event["change"]) == (
        "provider.initial_token_changed", token_id, "made",
    )  # fmt: skip
    assert token not in result.stderr
    listed = shell.run(*GROUP, "list")
    ((found, left, until, note),) = columns(listed)
    assert (found, left, note) == (token_id, "3 left", "the build farm")
    assert until.endswith("Z")
    assert token not in listed.stdout

    gone = shell.run(*GROUP, "revoke", token_id)
    assert events(gone.output)[0]["change"] == "revoked"
    assert shell.run(*GROUP, "list").stdout == ""
    assert "there is no registration token" in shell.run(*GROUP, "revoke", token_id, code=1).output


def test_a_realm_that_does_not_register_is_named(shell: Shell) -> None:
    shell.config.write_text(shell.config.read_text().replace("enabled = true", "enabled = false"))
    assert "registration.enabled is false in realm default" in shell.run(*GROUP, "add").stderr


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--uses", "0"], id="no-uses"),
        pytest.param(["--hours", "0"], id="no-time"),
        pytest.param(["--note", "a\nb"], id="two-lines"),
        pytest.param(["--note", "x" * 201], id="long-note"),
    ],
)
def test_tokens_that_are_not_made(shell: Shell, options: list[str]) -> None:
    shell.run(*GROUP, "add", *options, code=2)
    assert shell.run(*GROUP, "list").stdout == ""


def test_one_that_registered_itself_is_shown_as_such_and_removed(shell: Shell) -> None:
    token_id, token = made(shell, "--hours", str(24 * 366))
    world = World.over(shell.folder / "provider.db", registration={"enabled": True})
    answer = world.browser().post(
        "/register", json={"redirect_uris": [CALLBACK]}, headers={"Authorization": f"Bearer {token}"}
    )
    world.provider.parts.store.dispose()
    assert answer.status_code == 201, answer.text
    client_id = answer.get_json()["client_id"]
    assert [client_id, "enabled", "registered", client_id] in columns(shell.run("client", "list"))
    shown = shell.run("client", "show", client_id).stdout
    assert f"kept in: registered\nregistered: 2027-01-15 08:00:00Z with {token_id}, not used yet\n" in shown
    assert columns(shell.run(*GROUP, "list"))[0][1] == "used up"

    result = shell.run("client", "remove", client_id)
    assert f"{client_id} is removed" in result.output
    assert [event["change"] for event in events(result.output)] == ["removed"]
    assert client_id not in shell.run("client", "list").stdout
    assert "there is no client" in shell.run("client", "remove", client_id, code=1).output
    assert "written in the configuration" in shell.run("client", "remove", "app", code=1).output
