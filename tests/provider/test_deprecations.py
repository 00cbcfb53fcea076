"""What is going to end is said once, by name, to whoever starts or checks a provider that uses it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from provider.cli.main import main
from tests.provider.world import ISSUER, SECRET, World, copy_database

pytestmark = pytest.mark.row("E-04")

URIS = ["https://app.example/cb"]
#: Every combination of flows but those with `implicit`.
OTHERS: list[dict[str, Any]] = [
    {"client_id": "code", "auth_method": "none", "redirect_uris": URIS},
    {
        "client_id": "hybrid",
        "client_secret_sha256": "0" * 64,
        "redirect_uris": URIS,
        "flows": ["authorization_code", "hybrid", "client_credentials", "introspection", "revocation"],
    },
]


def implicit(client_id: str) -> dict[str, Any]:
    return {"client_id": client_id, "auth_method": "none", "redirect_uris": URIS, "flows": ["implicit"]}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_each_client_with_implicit_is_named_once_at_start(
    made_database: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy_database(made_database, tmp_path / "provider.db")
    realms = [{"name": "second", "clients": [implicit("elsewhere")]}]
    clients = [*OTHERS, implicit("spa"), implicit("kiosk")]
    World.over(tmp_path / "provider.db", clients=clients, realms=realms).provider.parts.store.dispose()
    assert {record.name for record in caplog.records} == {"provider"}
    texts = said(caplog)
    assert [text.partition(" uses the implicit flow")[0] for text in texts] == [
        "client spa", "client kiosk", "realm second: client elsewhere",
    ]  # fmt: skip
    assert all("authorization code flow with PKCE" in text for text in texts)


def test_nothing_is_said_of_any_other_client(
    made_database: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy_database(made_database, tmp_path / "provider.db")
    World.over(tmp_path / "provider.db", clients=OTHERS).provider.parts.store.dispose()
    assert said(caplog) == []


def run(folder: Path, *arguments: str) -> Result:
    env = {"OIDCPROVIDER_DATABASE": f"sqlite:///{folder / 'provider.db'}"}
    result = CliRunner(env=env).invoke(main, ["--config", str(folder / "provider.toml"), *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_check_has_a_line_for_each(tmp_path: Path) -> None:
    tables = "".join(
        "[[clients]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        for entry in (*OTHERS, implicit("spa"))
    )
    (tmp_path / "provider.toml").write_text(f'issuer = "{ISSUER}"\nsecret = "{SECRET}"\n{tables}')
    lines = [line for line in run(tmp_path, "check").stdout.splitlines() if line.startswith("warning: ")]
    (line,) = lines
    assert line.startswith("warning: client spa uses the implicit flow, which is deprecated")


def test_a_client_of_the_database_is_named_when_it_is_added(made_database: Path, tmp_path: Path) -> None:
    copy_database(made_database, tmp_path / "provider.db")
    (tmp_path / "provider.toml").write_text(f'issuer = "{ISSUER}"\nsecret = "{SECRET}"\n')
    options = ("--auth-method", "none", "--redirect-uri", URIS[0])
    added = run(tmp_path, "client", "add", "--id", "spa", "--flow", "implicit", *options)
    assert added.stdout == "client_id: spa\n"
    assert added.stderr.count("warning: client spa uses the implicit flow") == 1
    assert "implicit" not in run(tmp_path, "client", "add", "--id", "code", *options).output
