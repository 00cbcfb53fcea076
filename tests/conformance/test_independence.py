"""The modules judge from outside: they import nothing of ours, and not the JOSE library of our provider."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import op, rp

MODULES = sorted(path for folder in (op, rp) for path in Path(folder.__file__).parent.glob("*.py"))
#: Beside the standard library; of the tests what starts Debian's Chromium, which knows no provider.
ALLOWED = (
    "requests", "jwt", "cryptography", "playwright",
    "tests.conformance.op", "tests.conformance.rp", "tests.support.chromium",
)  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports relatively"
            yield str(node.module)


@pytest.mark.row("P-39")
@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_module_imports_nothing_of_ours(path: Path) -> None:
    others = [
        name
        for name in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
    ]

    assert others == []
