"""Writes what `oidcgate explain` says into docs/how-to/claims-and-context.md, for the example of that page.

The page holds the example's configuration and claims; what they lead to is not written by hand.
"""

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from oidcgate.cli import main as gate_command
from tools.bootstrap import ROOT, say

PAGE: Final = ROOT / "docs" / "how-to" / "claims-and-context.md"
_PARTS: Final = re.compile(
    r"(?P<before>.*```toml\n# the example\n(?P<toml>.*?)```\n.*?```json\n(?P<json>.*?)```\n.*?```console\n"
    r"\$ oidcgate explain --claims claims\.json\n)(?P<said>.*?)(?P<after>```\n.*)",
    re.DOTALL,
)
# What every configuration needs and the example leaves out.
_NEEDED: Final = {
    "OIDCGATE_PUBLIC_URL": "https://app.example.com",
    "OIDCGATE_PROVIDER__ISSUER": "https://id.example.com",
    "OIDCGATE_PROVIDER__CLIENT_ID": "app",
    "OIDCGATE_PROVIDER__CLIENT_SECRET": "no-secret-of-anybody",
    "OIDCGATE_USERS__SOURCE": "file:users.toml",
    "OIDCGATE_SESSION__SECRET": "0123456789abcdef" * 4,
}
_USERS: Final = '[[users]]\nuserName = "Alice"\ndisplayName = "Alice Liddell"\n'


def page(text: str) -> str:
    """The page with what the command says now.

    Raises:
        ValueError: the page has no such example, or the command refuses it.
    """
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ValueError(f"{PAGE} has no example to explain")
    with tempfile.TemporaryDirectory() as folder:
        files = {"oidcgate.toml": found["toml"], "claims.json": found["json"], "users.toml": _USERS}
        for name, content in files.items():
            Path(folder, name).write_text(content, encoding="utf-8")
        arguments = ["--config", f"{folder}/oidcgate.toml", "--claims", f"{folder}/claims.json"]
        inherited = dict.fromkeys(name for name in os.environ if name.startswith("OIDCGATE_"))
        result = CliRunner().invoke(gate_command, ["explain", *arguments], env={**inherited, **_NEEDED})
    if result.exit_code:
        raise ValueError(result.output)
    return found["before"] + result.output + found["after"]


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    say(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
