"""Commands as an operator types them, in a folder with a configuration and a database."""

from pathlib import Path

from click.testing import CliRunner, Result

from provider.cli.main import main
from tests.provider.world import APP_SECRET, ISSUER, SECRET

TOML = f"""
issuer = "{ISSUER}"
secret = "{SECRET}"
[[clients]]
client_id = "app"
client_secret = "{APP_SECRET}"
redirect_uris = ["https://app.example/cb"]
[[users]]
user_name = "alice"
"""


class Shell:
    """Runs commands in a folder with a configuration and a database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "provider.toml"

    def run(self, *arguments: str, stdin: str | None = None, code: int = 0) -> Result:
        env = {"OIDCPROVIDER_DATABASE": f"sqlite:///{self.folder / 'provider.db'}"}
        command = ["--config", str(self.config), *arguments]
        result = CliRunner(env=env).invoke(main, command, input=stdin)
        assert result.exit_code == code, result.output
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
        return result


def columns(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]
