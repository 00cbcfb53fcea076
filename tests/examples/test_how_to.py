"""The how-to pages, each followed to the letter in a fresh folder, up to a person who is signed in."""

import json
import re
import shlex
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import rsa

from oidcgate.gate.config import GateConfig
from oidcgate.gate.local_users import line_for
from oidcgate.settings import describe, parse
from oidcgate.web.sealing import new_secret
from provider.cli.main import main
from provider.config import ProviderSettings
from tests.examples.pages import PASSWORD, SECONDS, Block, Reader, blocks, commands
from tests.oidcgate.jose.certified import certificate_pem, key_pem
from tests.support.servers import ROOT
from tests.support.user_agent import Page, UserAgent

PAGES = ROOT / "docs" / "how-to"
# Pages whose tables stand in provider.toml, beside those of the folders `flows` and `clients`.
OF_THE_PROVIDER = (
    "run-the-provider",
    "second-factor",
    "consent",
    "organizations",
    "scopes-claims-apis",
    "own-user-store",
    "keys-and-certificates",
    "conformance",
    "protect-an-api",
    "native-app",
    "client-authentication",
    "encrypted-tokens",
    "register-applications",
    "account-pages",
    "pairwise-subjects",
    "request-objects",
    "sign-out",
    "third-party-cookies",
)
EVERY_PAGE = sorted(PAGES.rglob("*.md"))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path) as reader:
        yield reader


@pytest.fixture
def with_provider(reader: Reader) -> Reader:
    """Somebody who has read how to start a provider."""
    reader.follow(PAGES / "first-sign-in.md", only="**The provider.**")
    return reader


def sign_in(url: str, name: str = "alice") -> Page:
    browser = UserAgent()
    return browser.sign_in(browser.open(url), name, PASSWORD)


def wait_until(condition: Callable[[], bool]) -> None:
    """Nothing announces what another process has done; the wait is bounded."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.live
def test_first_sign_in(reader: Reader) -> None:
    reader.follow(PAGES / "first-sign-in.md")
    assert "Hello Alice!" in sign_in(reader.url(8000)).text


@pytest.mark.live
@pytest.mark.row("T-04")
def test_directory_app(with_provider: Reader) -> None:
    with_provider.follow(PAGES / "directory-app.md")
    page = sign_in(with_provider.url(8000))
    assert page.text == "Hello Alice Martin! You are Alice here, in room 3.14."


@pytest.mark.live
@pytest.mark.row("E-23")
def test_register_applications(reader: Reader) -> None:
    configuration, *steps = blocks(PAGES / "register-applications.md")
    for block in blocks(PAGES / "first-sign-in.md"):
        before, serve, _ = block.text.partition("$ oidcgate-provider serve")
        reader.do(Block(block.language, before, ""))
        if serve:
            break
    reader.do(configuration)
    reader.do(Block("console", serve, ""))
    said: list[str] = []
    for block in steps:
        for text in [f"$ {command}" for command in commands(block)] or [block.text]:
            reader.said = ""
            reader.do(Block(block.language, text, ""))
            said.append(reader.said)
    told, read, changed = (json.loads(text) for text in said if text.startswith("{"))
    assert (told["client_name"], told["scope"]) == ("Orders", "openid profile")
    assert {"client_secret", "registration_access_token", "registration_client_uri"} <= told.keys()
    assert read["client_name"] == "Orders"
    assert changed == {**read, "client_name": "Orders of tomorrow"}
    assert said[-1].strip() == "204"
    assert [line.split("\t")[1] for line in said if line.startswith("iat-")] == ["5 left"]


@pytest.mark.live
@pytest.mark.row("T-01")
def test_wrap_a_wsgi_app(with_provider: Reader) -> None:
    # The app of whoever reads the page.
    (with_provider.folder / "myapp.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [f\"{environ['REMOTE_USER']} {environ['PATH_INFO']}\".encode()]\n"
    )
    with_provider.follow(PAGES / "wrap-a-wsgi-app.md", until="## An ASGI app")
    assert sign_in(with_provider.url(8000) + "/some/page").text == "Alice /some/page"


@pytest.mark.live
@pytest.mark.row("T-01")
def test_wrap_an_asgi_app(with_provider: Reader) -> None:
    for block in blocks(PAGES / "wrap-a-wsgi-app.md"):
        # The configuration is the same; only the app and its server are others.
        if "gunicorn" not in block.text:
            with_provider.do(block)
    assert sign_in(with_provider.url(8000)).response.json() == {"hello": "Alice"}


@pytest.mark.live
@pytest.mark.row("T-01", "T-02")
def test_legacy_app(with_provider: Reader) -> None:
    with_provider.follow(PAGES / "legacy-app.md")
    page = sign_in(with_provider.url(8080))
    assert (page.status, "Card 0417, Bench 3" in page.text) == (200, True)
    # What the page says of the closed door.
    forged = {"X-Forwarded-User": "Alice"}
    assert "Card 0417" in requests.get(with_provider.url(8081), headers=forged, timeout=30).text
    assert requests.get(with_provider.url(8080), headers=forged, timeout=30).status_code == 401


@pytest.mark.live
@pytest.mark.row("T-01", "G-16")
def test_gunicorn_sidecar(with_provider: Reader) -> None:
    reader, page = with_provider, PAGES / "gunicorn-sidecar.md"
    for block in blocks(PAGES / "legacy-app.md"):
        # This page's own part of the configuration takes the place of the other's, and so does its command.
        if "oidcgate serve" not in block.text and "[proxy]" not in block.text:
            reader.do(block)
    reader.follow(page, until="## Change it")

    browser = UserAgent()
    first = browser.sign_in(browser.open(reader.url(8080)), "alice", PASSWORD)
    assert "Card 0417, Bench 3" in first.text
    assert "oidcgate" in requests.get(f"{reader.url(9090)}/metrics", timeout=30).text
    for path in ("healthz", "readyz"):
        assert requests.get(f"{reader.url(8080)}/.oidcgate/{path}", timeout=30).status_code == 200

    secret = reader.folder / "oidcgate.secret"
    secret.write_text(f"{new_secret()}\n{secret.read_text()}")
    (log,) = (log for command, log in reader.logs.items() if command.startswith("gunicorn"))
    assert log.read_text().count("Booting worker") == 2
    for block in blocks(page):
        if "kill -HUP" in block.text:
            reader.do(block)
    wait_until(lambda: log.read_text().count("Worker exiting") == 2)
    assert "Card 0417, Bench 3" in browser.open(reader.url(8080)).text


@pytest.mark.live
@pytest.mark.row("T-01", "T-02")
def test_sidecar_under_a_wsgi_server(with_provider: Reader) -> None:
    for block in blocks(PAGES / "legacy-app.md"):
        if "oidcgate serve" not in block.text and "[proxy]" not in block.text:
            with_provider.do(block)
    for block in blocks(PAGES / "gunicorn-sidecar.md"):
        # Both servers' files lie in one folder for whoever follows the page from its top.
        if "desk_wsgi" in block.text or "gunicorn_settings" in block.text:
            with_provider.do(block)
    assert "Card 0417, Bench 3" in sign_in(with_provider.url(8080)).text


def keys(table: object, path: str = "") -> Iterator[str]:
    """The dotted names of a TOML table's values, as the settings name them."""
    if isinstance(table, dict):
        for key, value in table.items():
            yield from keys(value, f"{path}.{key}" if path else key)
    elif isinstance(table, list) and table and isinstance(table[0], dict):
        for value in table:
            yield from keys(value, f"{path}[]")
    else:
        yield path


def settings_of(page: Path) -> type:
    """Whose configuration the tables of a page belong to."""
    of_the_provider = page.stem in OF_THE_PROVIDER or page.parent.name in ("flows", "clients")
    return ProviderSettings if of_the_provider else GateConfig


_OTHER_FILES = ("# users.toml", "# target.toml", "# also in target.toml")


def tables(page: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The blocks of a page that are configuration: the lists of people and of targets are files of others."""
    for number, block in enumerate(blocks(page)):
        if block.language == "toml" and not block.text.startswith(_OTHER_FILES):
            yield number, tomllib.loads(block.text)


@pytest.mark.checkout
@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(PAGES)))
def test_settings_on_a_page_exist(page: Path) -> None:
    documented = describe(settings_of(page))
    known = {doc.key for doc in documented}
    # What stands in such a table is for its readers to name.
    free = tuple(f"{doc.key}." for doc in documented if doc.type == "table")
    for _, table in tables(page):
        named = {key for key in keys(table) if not key.startswith(free)}
        assert named <= known | {f"{key}_file" for key in known}


#: What has to be there for anything to be read.
BARE: dict[type, dict[str, Any]] = {
    ProviderSettings: {"issuer": "https://id.example.com", "secret": new_secret()},
    GateConfig: {
        "public_url": "https://app.example.com",
        "provider": {"issuer": "https://id.example.com", "client_id": "app", "client_secret": new_secret()},
        "users": {"source": "any"},
        "session": {"secret": new_secret()},
    },
}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    inside = {name for name in one.keys() & other.keys() if isinstance(one[name], dict)}
    return {**one, **other, **{name: merged(one[name], other[name]) for name in inside}}


def write_files(table: object, folder: Path) -> None:
    """Write the files that a table names: certificates where they are asked for, else secrets."""
    key = rsa.generate_private_key(65537, 2048)
    made = {
        **dict.fromkeys(("signing_cert_file", "client_certificate_file"), certificate_pem(key)),
        **dict.fromkeys(
            ("signing_key_file", "client_signing_keys_file", "client_decryption_keys_file"), key_pem(key)
        ),
    }
    made["users_file"] = line_for("alice", "correct horse battery").encode()
    for name, value in named_files(table):
        (folder / value).touch(mode=0o600)
        (folder / value).write_bytes(made.get(name, new_secret().encode()))


def named_files(table: object) -> Iterator[tuple[str, str]]:
    if isinstance(table, dict):
        for name, value in table.items():
            if name.endswith("_file"):
                yield name, value
            yield from named_files(value)
    elif isinstance(table, list):
        for entry in table:
            yield from named_files(entry)


@pytest.mark.checkout
@pytest.mark.row("E-34")
@pytest.mark.parametrize(
    ("page", "number", "table"),
    [
        pytest.param(page, number, table, id=f"{page.relative_to(PAGES)}-{number}")
        for page in EVERY_PAGE
        for number, table in tables(page)
    ],
)
def test_each_block_of_configuration_can_be_read(
    page: Path, number: int, table: dict[str, Any], tmp_path: Path
) -> None:
    settings = settings_of(page)
    bare = BARE[settings]
    # Rules name the providers that the page has listed before.
    listed = next((one["providers"] for _, one in tables(page) if "providers" in one), None)
    if listed is not None:
        bare = {**bare, "providers": listed}
        del bare["provider"]
    hosts = next((one["public_urls"] for _, one in tables(page) if "public_urls" in one), None)
    if hosts is not None:
        bare = {**bare, "public_urls": hosts}
        del bare["public_url"]
    if "secret_file" in table.get("session", {}):
        bare = {**bare, "session": {}}
    connection = table.get("provider", {})
    if connection.keys() & {"client_id", "client_secret_file"}:
        # A whole connection, of which nothing has to be added.
        bare = {name: value for name, value in bare.items() if name != "provider"}
    table = merged(bare, table)
    write_files(table, tmp_path)
    parse(settings, table, base_dir=tmp_path)


@pytest.mark.checkout
@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(PAGES)))
def test_commands_of_the_provider_on_a_page_are_understood(page: Path) -> None:
    in_blocks = [command for block in blocks(page) for command in commands(block)]
    in_sentences = re.findall(r"`(oidcgate-provider [^`]+)`", page.read_text().replace("\\\n", " "))
    for command in (*in_blocks, *in_sentences):
        if command.startswith("oidcgate-provider "):
            # Asking for help reads the options that stand before it, and does nothing.
            result = CliRunner().invoke(main, [*shlex.split(command)[1:], "--help"])
            assert result.exit_code == 0, f"{command}\n{result.output}"


@pytest.mark.checkout
@pytest.mark.parametrize("index", sorted(PAGES.rglob("README.md")), ids=lambda path: path.parent.name)
def test_every_page_is_listed(index: Path) -> None:
    text = index.read_text()
    assert [page.name for page in index.parent.glob("*.md") if f"({page.name})" not in text] == ["README.md"]
