"""Each module has one subject, says which, and keeps no memory that grows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import Module, modules

LONGEST = 400
SUBJECTLESS = ("utils", "util", "helpers", "helper", "common", "misc", "shared", "base_utils")
TESTS = Path(__file__).resolve().parents[1]


def code_lines(module: Module) -> int:
    """Lines that hold code: neither blank, nor comment, nor docstring."""
    documented: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno:
                documented.update(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(module.source.splitlines(), start=1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and n not in documented for n, line in lines
    )


def unbounded_memory(tree: ast.Module) -> Iterator[str]:
    """Memory that grows with what strangers send: decorators without a bound, dicts that serve as caches."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                text = ast.unparse(decorator)
                if text in ("cache", "functools.cache"):
                    yield f"line {node.lineno}: @{text} never forgets"
                if "lru_cache" in text and ("maxsize=None" in text or "(None" in text):
                    yield f"line {node.lineno}: @{text} never forgets"
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        named = any(
            "cache" in ast.unparse(target).lower() or "seen" in ast.unparse(target).lower()
            for target in targets
        )
        growing = isinstance(value, ast.Dict | ast.DictComp) or (
            isinstance(value, ast.Call)
            and ast.unparse(value.func).rpartition(".")[2] in ("dict", "defaultdict", "OrderedDict")
        )
        lasting = any(isinstance(target, ast.Attribute) for target in targets) or node in tree.body
        if named and growing and lasting:
            yield f"line {node.lineno}: {ast.unparse(targets[0])} is a dict without a bound"


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_has_one_subject_and_says_which(name: str) -> None:
    module = modules()[name]

    assert name.rpartition(".")[2] not in SUBJECTLESS
    assert ast.get_docstring(module.tree), "a module opens with what lives in it and what does not"
    assert code_lines(module) <= LONGEST, "more than one subject? cut it"


@pytest.mark.row("G-28")
@pytest.mark.parametrize("name", sorted(modules()))
def test_memory_is_bounded(name: str) -> None:
    assert list(unbounded_memory(modules()[name].tree)) == []


@pytest.mark.row("G-28")
@pytest.mark.parametrize(
    "source",
    [
        pytest.param("@functools.cache\ndef f(x): ...", id="functools-cache"),
        pytest.param("@lru_cache(maxsize=None)\ndef f(x): ...", id="lru-cache-none"),
        pytest.param("@lru_cache(None)\ndef f(x): ...", id="lru-cache-none-positional"),
        pytest.param("_cache = {}", id="module-dict"),
        pytest.param("_key_cache: dict[str, str] = dict()", id="annotated"),
        pytest.param("class A:\n    def __init__(self):\n        self._cache = {}", id="attribute"),
        pytest.param("seen_nonces = defaultdict(list)", id="seen"),
    ],
)
def test_unbounded_memory_is_seen(source: str) -> None:
    assert len(list(unbounded_memory(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("@lru_cache(maxsize=64)\ndef f(x): ...", id="bounded-lru"),
        pytest.param("cache = TTLCache(maxsize=10, ttl=60)", id="cachetools"),
        pytest.param("def f():\n    seen = {}\n    return seen", id="local"),
    ],
)
def test_bounded_memory_is_allowed(source: str) -> None:
    assert list(unbounded_memory(ast.parse(source))) == []


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in TESTS.rglob("*.py")}

    assert [
        str(folder.relative_to(TESTS)) for folder in folders if not (folder / "__init__.py").is_file()
    ] == []
