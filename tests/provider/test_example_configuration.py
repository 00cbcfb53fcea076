"""`conf/provider.toml` can be used as it stands, and has every table that there is."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
from werkzeug.test import Client

from oidcgate.settings import describe
from oidcgate.web.sealing import new_secret
from provider import Provider
from provider.config import ProviderSettings
from tests.support.servers import ROOT

pytestmark = pytest.mark.checkout

FILE = ROOT / "conf" / "provider.toml"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The file, with the secrets that it names beside it."""
    for name in re.findall(r'secret_file = "([^"]+)"', FILE.read_text()):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(new_secret())
    return Path(shutil.copy(FILE, tmp_path))


@pytest.mark.row("S-54", "E-34")
def test_a_provider_starts_with_it(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied.parent)
    provider = Provider.from_config(copied, env={})
    try:
        for issuer in ("https://id.example.com", "https://id.example.com/r/partners"):
            path = issuer.removeprefix("https://id.example.com") + "/.well-known/openid-configuration"
            document = Client(provider).get(path, base_url="https://id.example.com").get_json()
            assert document["issuer"] == issuer
    finally:
        provider.end_background()
        provider.parts.store.dispose()


def test_it_has_every_table() -> None:
    found = tomllib.loads(FILE.read_text())
    keys = [doc.key for doc in describe(ProviderSettings)]
    assert {re.split(r"\.|\[", key)[0] for key in keys if "." in key} <= found.keys()
