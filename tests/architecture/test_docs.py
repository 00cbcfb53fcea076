"""The docs name what the code has, and the tree names no machine it was made on."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_imports import ALLOWED, room_of
from tests.architecture.tree import PACKAGES, imports, modules
from tools.bootstrap import ROOT

pytestmark = pytest.mark.checkout

IGNORED = {
    ".git",
    ".venv",
    "build",
    "dist",
    "mutants",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}
TEXT = {
    ".py",
    ".toml",
    ".md",
    ".txt",
    ".sh",
    ".yml",
    ".yaml",
    ".html",
    ".css",
    ".conf",
    ".json",
    ".js",
    ".mjs",
    "",
}

# Where a line would only be true on the machine of whoever wrote it.
MACHINE = re.compile(
    r"/(?:work|root|home/[a-z]+|Users/[A-Za-z]+)/|--(?:extra-)?index-url|find-links|registry\s*=\s*http"
)

RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(set(folders) - IGNORED)
        # In a linked worktree .git is a file.
        kept = sorted(set(names) - IGNORED)
        yield from (Path(folder, name) for name in kept if Path(name).suffix in TEXT)


def test_nothing_names_the_machine_it_was_written_on() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files()
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE.search(line)
    ]

    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)} → {target}"
        for path in files()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists()
    ]

    assert broken == []


def rows_of_rooms() -> Iterator[tuple[list[str], str]]:
    """The rooms of each row of the table in architecture.md, and what it says that they import."""
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        names = re.findall(r"`([^`]+)`", cells[0])
        if len(cells) == 3 and names and names[0].partition("/")[0] in PACKAGES:
            package = names[0].partition("/")[0]
            stems = [name.removeprefix(f"{package}/").removesuffix(".py") for name in names]
            yield [f"{package}.{stem}" for stem in stems], cells[2]


def test_the_rooms_import_what_their_table_says() -> None:
    imported: dict[str, set[str]] = {room: set() for room in ALLOWED}
    for module in modules().values():
        room = room_of(module.name)
        imported[room] |= {room_of(item.name) for item in imports(module)} - {"", room}
    above: set[str] = set()
    wrong: list[str] = []
    for rooms, said in rows_of_rooms():
        above.update(rooms)
        found = set[str]().union(*(imported[room] for room in rooms))
        if said.startswith(("all of the above", "rooms above")):
            wrong += [f"{rooms} import {room}, which is not above" for room in sorted(found - above)]
            continue
        named = [] if said == "none" else re.findall(r"`([^`]+)`", said)
        if found != {room_of(f"oidcgate.{name}") for name in named}:
            wrong.append(f"{rooms} import {sorted(found)}, and the table says {said}")
    assert {"oidcgate.web", "oidcgate.serve", "provider.endpoints"} <= above
    assert wrong == []


def test_every_module_of_the_gate_is_named() -> None:
    sections = (ROOT / "docs" / "architecture.md").read_text().split("\n## ")
    # Modules of the provider have some of the same names.
    gate = "\n".join(text for text in sections if not text.startswith(("Two packages", "The provider\n")))
    named = set(re.findall(r"`(?:gate/)?(\w+)\.py`", gate))
    modules_there = {path.stem for path in (ROOT / "oidcgate" / "gate").glob("*.py")} - {"__init__"}

    assert sorted(modules_there - named) == []


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    records = [path.name for path in RECORDS]

    assert records == sorted(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", index))
    assert [name[:4] for name in records] == [f"{number:04}" for number in range(1, len(records) + 1)]


@pytest.mark.parametrize(
    "record", sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")), ids=lambda path: path.stem
)
def test_a_decision_has_its_parts(record: Path) -> None:
    text = record.read_text()

    assert text.startswith(f"# {record.name[:4]} ")
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
        "Question",
        "Decision",
        "Reasons",
        "Alternatives",
        "Consequences",
    ]


def test_the_reference_is_current() -> None:
    from tools.reference import document

    assert (ROOT / "docs" / "reference.md").read_text() == document(), "stale: run make tables"


def test_what_explain_says_is_current() -> None:
    from tools.explained import PAGE, page

    assert PAGE.read_text() == page(PAGE.read_text()), "stale: run make tables"


def test_every_setting_says_what_it_means() -> None:
    from oidcgate.gate.config import GateConfig
    from oidcgate.settings import describe
    from provider.config import ProviderSettings

    assert [
        doc.key for cls in (GateConfig, ProviderSettings) for doc in describe(cls) if not doc.help.strip()
    ] == []


def named_in_table(page: str, heading: str) -> list[str]:
    """The first column of the table of a page that has these words above it."""
    _, found, behind = page.partition(f"\n| {heading}")
    assert found
    return re.findall(r"^\| `([a-z]+)` \|", behind.partition("\n\n")[0], re.MULTILINE)


def test_the_page_of_the_sidecar_explains_the_access_log() -> None:
    from oidcgate.handover import Outcome
    from oidcgate.serve.access_log import AccessLog, Entry

    page = (ROOT / "docs" / "how-to" / "gunicorn-sidecar.md").read_text()
    assert set(named_in_table(page, "`outcome` in the access log")) == set(Outcome)

    lines: list[bytes] = []
    log = AccessLog(lines.append)
    log.note(Entry("192.0.2.7", "GET", "/", 200, 0, 0.1, "", Outcome.PASSED))
    log.flush()
    assert named_in_table(page, "field of the access log") == list(json.loads(lines[0]))


@pytest.mark.parametrize("target", ["demo", "test", "test-fast", "check", "trace", "mutants", "bench"])
def test_every_make_target_is_documented_and_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    documents = "".join(path.read_text() for path in (ROOT / "README.md", ROOT / "docs" / "development.md"))

    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert f"make {target}" in documents


def test_every_version_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]

    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    names = [line.partition("==")[0].lower() for line in pins]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", ["requirements-test.txt", "requirements-dev.txt"])
def test_what_is_required_has_a_pin(name: str) -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = [line.strip().lower() for line in (ROOT / name).read_text().splitlines()]

    assert [line for line in wanted if line and line[0] not in "#-" and line not in pinned] == []
