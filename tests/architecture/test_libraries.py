"""The named libraries do the work, and the table that says so is generated from the code."""

import pytest

from tools.bootstrap import ROOT
from tools.libraries import importers, libraries, table

IMPORTERS = importers()
NAMED = [library for library in libraries() if library.named]
pytestmark = pytest.mark.checkout


@pytest.mark.row("T-07")
def test_the_table_is_current() -> None:
    assert (ROOT / "docs" / "libraries.md").read_text() == table(), "stale: run make tables"


@pytest.mark.row("T-07")
def test_the_requirement_names_these() -> None:
    assert {library.name for library in NAMED} == {
        "werkzeug",
        "gunicorn",
        "authlib",
        "itsdangerous",
        "cachetools",
        "pymemcache",
        "requests_mock",
        "pytest",
    }


@pytest.mark.row("T-07")
@pytest.mark.parametrize(
    "library", [library for library in NAMED if not library.awaits], ids=lambda x: x.name
)
def test_a_named_library_is_used(library) -> None:
    by = IMPORTERS[library.name]

    if library.name in ("pytest", "requests_mock"):
        assert any(name.startswith("tests.") for name in by)
    else:
        assert any(name.startswith(("oidcgate", "provider")) for name in by)


def test_what_awaits_its_use_has_none() -> None:
    used = [library.name for library in libraries() if library.awaits and library.name in IMPORTERS]
    assert used == [], "take `awaits` out of libraries.toml"
