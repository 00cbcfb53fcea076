"""The how-to pages, each followed to the letter in a fresh folder, up to a person who is signed in."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from oidcgate.gate.config import GateConfig
from oidcgate.settings import describe
from tests.examples.pages import PASSWORD, Reader, blocks
from tests.support.servers import ROOT
from tests.support.user_agent import Page, UserAgent

PAGES = ROOT / "docs" / "how-to"


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


@pytest.mark.checkout
@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_settings_on_a_page_exist(page: Path) -> None:
    known = {doc.key for doc in describe(GateConfig)}
    for block in blocks(page):
        if block.language == "toml" and not block.text.startswith("# users.toml"):
            assert set(keys(tomllib.loads(block.text))) <= known | {f"{key}_file" for key in known}


@pytest.mark.checkout
def test_every_page_is_listed() -> None:
    index = (PAGES / "README.md").read_text()
    assert [page.name for page in PAGES.glob("*.md") if f"]({page.name})" not in index] == ["README.md"]
