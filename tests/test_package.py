"""Both packages are whole: every module imports, and what is no module lies beside them."""

import importlib
import pkgutil
from pathlib import Path

import pytest

import oidcgate
import provider
from tools.bootstrap import ROOT

PACKAGES = (oidcgate, provider)
NAMES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # Importing it runs the command, and Alembic runs its own.
    if not module.name.endswith(("__main__", "migrations.env"))
)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports(name: str) -> None:
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_no_module_is_there(package: object) -> None:
    folder = Path(package.__file__).parent
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()} - {".pyc"}

    assert (folder / "py.typed").is_file()
    assert {".py", ".html", ".toml"} <= kinds


@pytest.mark.checkout
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_the_wheel_takes_every_kind_of_file(package: object) -> None:
    """Whoever adds a kind of file that the wheel leaves out finds it here, not at a user's."""
    folder = ROOT / package.__name__
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}

    assert kinds <= {".py", ".html", ".js", ".toml", ".css", ".typed", ".mako"}
