"""Generates docs/libraries.md: which library does what, and which modules import it.

The uses are data (docs/requirements/libraries.toml), the importing modules are read from the code's
own import statements. Next door: trace generates the table of requirement rows.
"""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.bootstrap import ROOT, say

SEARCHED = ("oidcgate", "provider", "examples", "conf", "benchmarks", "tests")

HEAD = """\
# Libraries

Generated from the code by `make tables`; what each library is for stands in `requirements/libraries.toml`.
Bold: asked for by name (requirement T-07).

| library | its use | imported by |
|---|---|---|
"""


@dataclass(frozen=True)
class Library:
    """One library, by the name that import statements use."""

    name: str
    use: str
    named: bool = False
    awaits: str | None = None


def libraries(root: Path = ROOT) -> list[Library]:
    listed = tomllib.loads((root / "docs" / "requirements" / "libraries.toml").read_text())["libraries"]
    return [Library(**entry) for entry in listed]


def top_level_imports(source: str) -> frozenset[str]:
    """First names of what a module imports, wherever in it the statement stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    for folder in SEARCHED:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def importers(root: Path = ROOT) -> Mapping[str, list[str]]:
    """Library name → the modules of this project that import it."""
    found: dict[str, list[str]] = defaultdict(list)
    for module, path in modules(root):
        for name in top_level_imports(path.read_text()):
            found[name].append(module)
    return found


def cell(library: Library, by: list[str]) -> str:
    # Tests are summed up: a table that changes with every new test would only be noise.
    words = [f"`{name}`" for name in by if not name.startswith("tests")]
    if len(words) < len(by):
        words.append("tests")
    if not words:
        return f"nothing yet: comes with {library.awaits}" if library.awaits else "nothing"
    return ", ".join(words)


def table(root: Path = ROOT) -> str:
    by = importers(root)
    lines = [
        f"| {f'**{library.name}**' if library.named else library.name} | {library.use} "
        f"| {cell(library, by.get(library.name, []))} |"
        for library in libraries(root)
    ]
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    target = ROOT / "docs" / "libraries.md"
    target.write_text(table())
    say(f"wrote {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
