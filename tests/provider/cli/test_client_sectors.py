"""Commands over clients that belong to a sector: what is asked of others, and what an operator is told."""

import json

import pytest

from provider.config import ProviderSettings
from provider.services.outbound import Outbound
from tests.provider.cli.shell import Shell
from tests.provider.services.test_sectors import ONE, SECTOR, TWO, SectorServer

STRANGERS = "another sub from now on"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> SectorServer:
    """Who answers for sectors; the realm offers pairwise subjects."""
    made = SectorServer(json.dumps([ONE, TWO]).encode())

    def outbound(_settings: ProviderSettings) -> Outbound:
        return Outbound.through(made.fetcher())

    monkeypatch.setattr("provider.build.outbound_of", outbound)
    text = shell.config.read_text()
    offered = 'subjects.types = ["public", "pairwise"]'
    shell.config.write_text(text.replace("[[clients]]", f"{offered}\n[[clients]]", 1))
    return made


def add(shell: Shell, *uris: str, code: int = 0, **settings: str) -> str:
    pairs = [f"{name}={value}" for name, value in settings.items()]
    options = [part for pair in pairs for part in ("--set", pair)]
    redirects = [part for uri in uris for part in ("--redirect-uri", uri)]
    return shell.run("client", "add", "--id", "x", *redirects, *options, code=code).stderr


def test_a_client_is_added_when_its_sector_knows_it(shell: Shell, server: SectorServer) -> None:
    refused = add(shell, ONE, "https://stranger.example/cb", sector_identifier_uri=SECTOR, code=1)
    assert "add 'https://stranger.example/cb' to the array" in refused
    assert "x\t" not in shell.run("client", "list").stdout
    add(shell, ONE, TWO, sector_identifier_uri=SECTOR, subject_type="pairwise")
    assert server.asked == [SECTOR, SECTOR]


def test_a_change_asks_when_it_names_something_new(shell: Shell, server: SectorServer) -> None:
    add(shell, ONE, sector_identifier_uri=SECTOR, subject_type="pairwise")
    server.asked.clear()
    server.body = b"[]"
    shell.run("client", "set", "x", "name=Another")
    assert server.asked == []
    refused = shell.run("client", "set", "x", f"redirect_uris={ONE} {TWO}", code=1)
    assert "sector_identifier_uri" in refused.stderr
    assert server.asked == [SECTOR]
    # One of the file is not changed here, so nobody is asked about it.
    shell.run("client", "set", "app", f"sector_identifier_uri={SECTOR}", code=1)
    assert server.asked == [SECTOR]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(["subject_type=pairwise"], True, id="public-to-pairwise"),
        pytest.param(["redirect_uris=https://elsewhere.example/cb"], False, id="public-moves"),
        pytest.param(["subject_type=public"], False, id="no-change"),
    ],
)
def test_the_operator_is_told_when_people_become_strangers(
    shell: Shell, server: SectorServer, changes: list[str], told: bool
) -> None:
    add(shell, ONE)
    assert (STRANGERS in shell.run("client", "set", "x", *changes).stderr) is told


def test_a_pairwise_client_that_moves_to_another_sector(shell: Shell, server: SectorServer) -> None:
    add(shell, ONE, subject_type="pairwise")
    same = shell.run("client", "set", "x", "redirect_uris=https://a.example:8443/other")
    assert STRANGERS not in same.stderr
    assert STRANGERS in shell.run("client", "set", "x", f"redirect_uris={TWO}").stderr
    assert STRANGERS in shell.run("client", "set", "x", f"sector_identifier_uri={SECTOR}").stderr
    assert STRANGERS in shell.run("client", "set", "x", "subject_type=public").stderr


def test_client_check_asks_for_those_of_the_file_too(shell: Shell, server: SectorServer) -> None:
    text = shell.config.read_text()
    wrong = f'sector_identifier_uri = "{SECTOR}"\n'
    shell.config.write_text(text.replace('client_id = "app"\n', f'client_id = "app"\n{wrong}', 1))
    # A start asks nobody.
    shell.run("check")
    add(shell, ONE, TWO, sector_identifier_uri=SECTOR)
    server.asked.clear()
    result = shell.run("client", "check", code=1)
    assert result.stdout.startswith("app\tsector_identifier_uri: ")
    assert "add 'https://app.example/cb'" in result.stdout
    assert result.stdout.endswith("\nx\tok\n")
    assert "1 of 2 are wrong" in result.stderr
    assert server.asked == [SECTOR, SECTOR]
    assert shell.run("client", "check", "x").stdout == "x\tok\n"
    assert "no client y" in shell.run("client", "check", "y", code=1).stderr


def test_client_check_without_any(shell: Shell, server: SectorServer) -> None:
    assert shell.run("client", "check").stdout == ""
    assert server.asked == []
