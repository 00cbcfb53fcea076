"""The two packages as syntax trees, for the tests that speak about all modules at once.

Read from where the packages were imported, so that the tests say the same of a checkout and of an
installed wheel.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import oidcgate
import provider

PACKAGES = ("oidcgate", "provider")


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    source: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@dataclass(frozen=True)
class Import:
    """One imported module, and whether the import runs when the importing module does."""

    name: str
    line: int
    at_load: bool


@lru_cache(maxsize=1)
def modules() -> Mapping[str, Module]:
    """Every module of both packages by dotted name."""
    found: dict[str, Module] = {}
    for package in (oidcgate, provider):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            source = path.read_text(encoding="utf-8")
            found[name] = Module(name, path, source, ast.parse(source, str(path)))
    return found


def imports(module: Module) -> Iterator[Import]:
    """What a module imports, `from x import y` resolved to the module x.y where that is one.

    Imports under `if TYPE_CHECKING:` and inside functions are told apart: they cannot make a cycle.
    """
    known = modules()
    for node, at_load in _statements(module.tree.body, at_load=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_load)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield Import(submodule if submodule in known else base, node.lineno, at_load)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    drop = node.level - 1 if module.is_package else node.level
    base = parts[: len(parts) - drop]
    return ".".join([*base, node.module] if node.module else base)


def _statements(body: list[ast.stmt], *, at_load: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for node in body:
        yield node, at_load
        inside = at_load and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inside = False
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, name, []), at_load=inside)
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body, at_load=inside)
