"""What a user may import is a list, and importing a part loads only that part."""

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import oidcgate
import provider

# Adding a name here makes a promise; taking one away breaks one.
PUBLIC = {"oidcgate": ["AsyncGate", "Gate", "Identity", "ReverseProxy"], "provider": ["Provider"]}


def loaded_by(statement: str, names: list[str]) -> list[str]:
    """Which of the named modules a fresh interpreter holds after one statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps([n for n in {names!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded: list[str] = json.loads(done.stdout)
    return loaded


@pytest.mark.parametrize("package", [oidcgate, provider], ids=lambda package: package.__name__)
def test_public_names_are_exactly_the_list(package: object) -> None:
    name = package.__name__

    assert sorted(package.__all__) == PUBLIC[name]
    assert set(PUBLIC[name]) <= set(dir(package))


@pytest.mark.parametrize(("package", "name"), [(p, n) for p in PUBLIC for n in PUBLIC[p]])
def test_each_public_name_can_be_imported(package: str, name: str) -> None:
    namespace: dict[str, object] = {}

    exec(f"from {package} import {name}", namespace)  # noqa: S102 - the statement a user writes

    assert callable(namespace[name])


@pytest.mark.parametrize("package", [oidcgate, provider], ids=lambda package: package.__name__)
def test_an_unknown_name_is_an_attribute_error(package: object) -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = package.nothing_of_that_name


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        pytest.param(
            "import oidcgate",
            ["werkzeug", "jinja2", "sqlalchemy", "requests", "authlib", "cryptography", "oidcgate.gate"],
            id="oidcgate",
        ),
        pytest.param("from oidcgate import ReverseProxy", ["oidcgate.gate", "werkzeug"], id="reverse-proxy"),
        pytest.param(
            "import provider", ["werkzeug", "jinja2", "sqlalchemy", "alembic", "argon2"], id="provider"
        ),
        pytest.param("import oidcgate.web.cookies", ["oidcgate.gate", "werkzeug", "jinja2"], id="a-room"),
        pytest.param(
            "import oidcgate.protocol.errors", ["oidcgate.gate", "requests", "werkzeug"], id="protocol"
        ),
        pytest.param("import oidcgate.settings", ["oidcgate.gate", "requests", "sqlalchemy"], id="settings"),
    ],
)
def test_a_part_is_loaded_without_the_whole(statement: str, heavy: list[str]) -> None:
    assert loaded_by(statement, heavy) == []


def test_what_needs_an_extra_says_which() -> None:
    statement = "import sys; sys.modules['httptools'] = None; from oidcgate import ReverseProxy"
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, timeout=60)

    assert "ImportError: ReverseProxy needs httptools: pip install 'oidcgate[serve]'" in done.stderr


def test_the_commands_are_installed() -> None:
    scripts = {
        entry.name: entry
        for entry in entry_points(group="console_scripts")
        if entry.name.startswith("oidcgate")
    }

    assert sorted(scripts) == ["oidcgate", "oidcgate-provider"]
    assert all(callable(entry.load()) for entry in scripts.values())
